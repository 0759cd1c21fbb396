-- Whose turn a job takes (the team), and which replaced version an instance drains for.
ALTER TABLE "Job" ADD COLUMN     "fairKey" TEXT;
ALTER TABLE "Instance" ADD COLUMN     "drainingSince" TIMESTAMP(3),
ADD COLUMN     "replacedBy" TEXT;
CREATE INDEX "Job_kind_state_idx" ON "Job"("kind", "state");
