-- A redeployment names the deployment it repeats.
ALTER TABLE "Deployment" ADD COLUMN "repeats" TEXT;
