-- Previews are protected by share links unless a project says otherwise.
ALTER TABLE "Environment" ADD COLUMN "protection" TEXT;

CREATE TABLE "ShareLink" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "environmentId" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "name" TEXT,
    "digest" TEXT NOT NULL,
    "ciphertext" BYTEA NOT NULL,
    "createdBy" TEXT NOT NULL,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "ShareLink_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "ShareLink_digest_key" ON "ShareLink"("digest");
CREATE INDEX "ShareLink_teamId_environmentId_idx" ON "ShareLink"("teamId", "environmentId");
CREATE INDEX "ShareLink_expiresAt_idx" ON "ShareLink"("expiresAt");
ALTER TABLE "ShareLink" ADD CONSTRAINT "ShareLink_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment"("id") ON DELETE CASCADE ON UPDATE CASCADE;
