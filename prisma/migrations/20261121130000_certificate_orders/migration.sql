-- An order that outlives a crash needs its key, its CA and its question; the bound on asking in vain outlives the certificate.
ALTER TABLE "Certificate" ADD COLUMN     "orderDirectory" TEXT,
ADD COLUMN     "orderKeyCiphertext" BYTEA,
ADD COLUMN     "orderTryId" BIGINT,
ADD COLUMN     "rehearsedAt" TIMESTAMP(3);

ALTER TABLE "CertificateTry" DROP CONSTRAINT "CertificateTry_certificateId_fkey";
ALTER TABLE "CertificateTry" ALTER COLUMN "certificateId" DROP NOT NULL;
ALTER TABLE "CertificateTry" ADD CONSTRAINT "CertificateTry_certificateId_fkey" FOREIGN KEY ("certificateId") REFERENCES "Certificate"("id") ON DELETE SET NULL ON UPDATE CASCADE;
