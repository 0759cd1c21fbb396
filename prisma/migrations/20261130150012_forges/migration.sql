CREATE TABLE "ForgeConnection" (
    "projectId" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "apiUrl" TEXT NOT NULL,
    "repository" TEXT NOT NULL,
    "token" BYTEA NOT NULL,
    "allowPrivateNetwork" BOOLEAN NOT NULL DEFAULT false,
    "problem" JSONB,
    "pausedUntil" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "ForgeConnection_pkey" PRIMARY KEY ("projectId")
);

CREATE TABLE "ForgeReport" (
    "deploymentId" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "dueAt" TIMESTAMP(3),
    "claimedUntil" TIMESTAMP(3),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "isFailed" BOOLEAN NOT NULL DEFAULT false,
    "forgeDeploymentId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ForgeReport_pkey" PRIMARY KEY ("deploymentId")
);

CREATE INDEX "ForgeConnection_teamId_idx" ON "ForgeConnection"("teamId");
CREATE INDEX "ForgeReport_dueAt_idx" ON "ForgeReport"("dueAt");
CREATE INDEX "ForgeReport_projectId_claimedUntil_idx" ON "ForgeReport"("projectId", "claimedUntil");
CREATE INDEX "ForgeReport_createdAt_idx" ON "ForgeReport"("createdAt");

ALTER TABLE "ForgeConnection" ADD CONSTRAINT "ForgeConnection_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "ForgeReport" ADD CONSTRAINT "ForgeReport_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "ForgeConnection"("projectId") ON DELETE CASCADE ON UPDATE CASCADE;

-- A report that has become due is announced when its transaction commits: server/forges/reporter.ts sleeps until then.
CREATE TRIGGER "ForgeReport_due" AFTER INSERT OR UPDATE OF "dueAt" ON "ForgeReport"
  FOR EACH ROW WHEN (NEW."dueAt" IS NOT NULL AND NEW."attempts" = 0) EXECUTE FUNCTION switchyard_notice('report');
