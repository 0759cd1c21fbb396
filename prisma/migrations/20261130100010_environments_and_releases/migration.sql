-- Every environment has a host label, variables and settings of its own; a deployment has a kind; a release has a wanted state.
ALTER TYPE "DeploymentTrigger" ADD VALUE 'GIT';
ALTER TYPE "DeploymentTrigger" ADD VALUE 'HOOK';
CREATE TYPE "DeploymentKind" AS ENUM ('BUILD', 'ROLLBACK', 'PROMOTE', 'RESTART', 'REDEPLOY');
CREATE TYPE "ReleaseWanted" AS ENUM ('serving', 'warm', 'stopped');

ALTER TABLE "Environment"
  ADD COLUMN "slug" TEXT,
  ADD COLUMN "parentId" TEXT,
  ADD COLUMN "pullRequest" INTEGER,
  ADD COLUMN "title" TEXT,
  ADD COLUMN "author" TEXT,
  ADD COLUMN "fork" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "approvedBy" TEXT,
  ADD COLUMN "approvedAt" TIMESTAMP(3),
  ADD COLUMN "settings" JSONB,
  ADD COLUMN "rules" JSONB,
  ADD COLUMN "lockReason" TEXT,
  ADD COLUMN "lockedBy" TEXT,
  ADD COLUMN "lockedAt" TIMESTAMP(3),
  ADD COLUMN "pausedReason" TEXT,
  ADD COLUMN "pausedAt" TIMESTAMP(3),
  ADD COLUMN "expiresAt" TIMESTAMP(3),
  ADD COLUMN "closedAt" TIMESTAMP(3);
UPDATE "Environment" e SET "slug" = p."slug" FROM "Project" p WHERE p."id" = e."projectId";
ALTER TABLE "Environment" ALTER COLUMN "slug" SET NOT NULL;
CREATE UNIQUE INDEX "Environment_slug_key" ON "Environment"("slug");
CREATE UNIQUE INDEX "Environment_projectId_pullRequest_key" ON "Environment"("projectId", "pullRequest");
ALTER TABLE "Environment" ADD CONSTRAINT "Environment_parentId_fkey" FOREIGN KEY ("parentId") REFERENCES "Environment"("id") ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "Deployment"
  ADD COLUMN "kind" "DeploymentKind" NOT NULL DEFAULT 'BUILD',
  ADD COLUMN "reason" TEXT,
  ADD COLUMN "fencingToken" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "pinnedAt" TIMESTAMP(3),
  ADD COLUMN "pinnedBy" TEXT,
  ADD COLUMN "watchUntil" TIMESTAMP(3),
  ADD COLUMN "watch" JSONB;
ALTER TABLE "Release"
  ADD COLUMN "wanted" "ReleaseWanted" NOT NULL DEFAULT 'serving',
  ADD COLUMN "warmUntil" TIMESTAMP(3);
UPDATE "Release" SET "wanted" = 'stopped' WHERE "id" NOT IN (SELECT "liveReleaseId" FROM "Environment" WHERE "liveReleaseId" IS NOT NULL);
UPDATE "Release" SET "config" = jsonb_set("config", '{health,errorsPeriodMs}', COALESCE("config"->'health'->'errorsPeriodMs', "config"->'health'->'startPeriodMs')) || '{"instances": 1}'
  WHERE "config" ? 'health';
ALTER TABLE "Instance" ADD COLUMN "endingAt" TIMESTAMP(3);

-- Holds what all previews of a project inherit.
INSERT INTO "Environment"("id", "teamId", "projectId", "name", "kind", "slug")
  SELECT substr(md5(p."id" || 'preview'), 1, 12), p."teamId", p."id", 'preview', 'PREVIEW', 'previews-of-' || p."id" FROM "Project" p;

-- Builds of an environment may queue; the switch of traffic is exclusive.
DROP INDEX "Deployment_one_running_per_environment";
CREATE UNIQUE INDEX "Deployment_one_switch_per_environment" ON "Deployment"("environmentId") WHERE "status" = 'DEPLOYING';

-- Jobs of before: a deployment is two jobs now. One in the middle of its switch goes on with the second.
UPDATE "Job" SET "kind" = 'release' WHERE "kind" = 'deploy' AND "payload"->>'deploymentId' IN (SELECT "id" FROM "Deployment" WHERE "status" = 'DEPLOYING');
UPDATE "Job" SET "kind" = 'build', "exclusiveKey" = replace("exclusiveKey", 'environment:', 'build:') WHERE "kind" = 'deploy';
