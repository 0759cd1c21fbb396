-- What the routers do not serve of a project as it was asked for, and why.
ALTER TABLE "Project" ADD COLUMN     "edgeProblems" JSONB;
