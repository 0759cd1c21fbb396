CREATE TYPE "GitDecision" AS ENUM ('pending', 'queued', 'waiting', 'ignored', 'done', 'failed');

CREATE TABLE "GitHook" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "secret" BYTEA NOT NULL,
    "previousSecret" BYTEA,
    "previousUntil" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "GitHook_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "GitHook_projectId_key" ON "GitHook"("projectId");
ALTER TABLE "GitHook" ADD CONSTRAINT "GitHook_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "GitDelivery" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "hookId" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "deliveryId" TEXT NOT NULL,
    "part" INTEGER NOT NULL DEFAULT 0,
    "event" TEXT NOT NULL,
    "content" JSONB NOT NULL,
    "subject" TEXT,
    "subjectAt" TIMESTAMP(3),
    "decision" "GitDecision" NOT NULL DEFAULT 'pending',
    "reason" TEXT NOT NULL DEFAULT '',
    "outcomes" JSONB,
    "head" TEXT,
    "deploymentIds" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "repeats" INTEGER NOT NULL DEFAULT 0,
    "replayOf" TEXT,
    "approvedBy" TEXT,
    "receivedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "decidedAt" TIMESTAMP(3),

    CONSTRAINT "GitDelivery_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "GitDelivery_hookId_deliveryId_part_key" ON "GitDelivery"("hookId", "deliveryId", "part");
CREATE INDEX "GitDelivery_teamId_receivedAt_id_idx" ON "GitDelivery"("teamId", "receivedAt" DESC, "id" DESC);
CREATE INDEX "GitDelivery_projectId_receivedAt_id_idx" ON "GitDelivery"("projectId", "receivedAt" DESC, "id" DESC);
CREATE INDEX "GitDelivery_projectId_subject_decidedAt_idx" ON "GitDelivery"("projectId", "subject", "decidedAt" DESC);
CREATE INDEX "GitDelivery_receivedAt_idx" ON "GitDelivery"("receivedAt");
-- The reader of what is not decided yet looks here only.
CREATE INDEX "GitDelivery_pending" ON "GitDelivery"("projectId", "receivedAt") WHERE "decision" = 'pending';
ALTER TABLE "GitDelivery" ADD CONSTRAINT "GitDelivery_hookId_fkey" FOREIGN KEY ("hookId") REFERENCES "GitHook"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "DeployHook" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "environmentId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "branch" TEXT,
    "prefix" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "createdBy" TEXT,
    "lastUsedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "DeployHook_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "DeployHook_hash_key" ON "DeployHook"("hash");
CREATE INDEX "DeployHook_teamId_projectId_idx" ON "DeployHook"("teamId", "projectId");
ALTER TABLE "DeployHook" ADD CONSTRAINT "DeployHook_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment"("id") ON DELETE CASCADE ON UPDATE CASCADE;
