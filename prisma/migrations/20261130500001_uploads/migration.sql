CREATE TABLE "Upload" (
    "teamId" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "sizeBytes" BIGINT NOT NULL,
    "createdBy" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Upload_pkey" PRIMARY KEY ("teamId","digest")
);

CREATE INDEX "Upload_digest_idx" ON "Upload"("digest");

ALTER TABLE "Upload" ADD CONSTRAINT "Upload_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "Team"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What teams have deployed so far was theirs.
INSERT INTO "Upload" ("teamId", "digest", "sizeBytes")
SELECT DISTINCT "teamId", "source"->>'digest', 0 FROM "Deployment" WHERE "source"->>'kind' = 'archive';
