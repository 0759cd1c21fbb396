-- A domain that is removed and added again takes up the certificate it had: CAs allow few of one name in a week.
CREATE TABLE "KeptCertificate" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "directory" TEXT NOT NULL,
    "issuer" TEXT,
    "serial" TEXT,
    "notBefore" TIMESTAMP(3) NOT NULL,
    "notAfter" TIMESTAMP(3) NOT NULL,
    "chainPem" TEXT NOT NULL,
    "keyCiphertext" BYTEA NOT NULL,
    "nextAttemptAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "KeptCertificate_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "KeptCertificate_teamId_name_key" ON "KeptCertificate"("teamId", "name");
CREATE INDEX "KeptCertificate_notAfter_idx" ON "KeptCertificate"("notAfter");
ALTER TABLE "KeptCertificate" ADD CONSTRAINT "KeptCertificate_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "Team"("id") ON DELETE CASCADE ON UPDATE CASCADE;
