-- CreateEnum
CREATE TYPE "CertificateMode" AS ENUM ('automatic', 'uploaded', 'off');

-- AlterTable
ALTER TABLE "Project" ADD COLUMN     "edgePolicy" JSONB;

-- AlterTable
ALTER TABLE "Artifact" ADD COLUMN     "content" JSONB,
ADD COLUMN     "edgePolicy" JSONB;

-- AlterTable
ALTER TABLE "Domain" ADD COLUMN     "certificateMode" "CertificateMode" NOT NULL DEFAULT 'automatic',
ADD COLUMN     "checks" JSONB,
ADD COLUMN     "dnsProviderId" TEXT,
ADD COLUMN     "hstsSeconds" INTEGER NOT NULL DEFAULT 31536000,
ADD COLUMN     "httpsRedirect" BOOLEAN NOT NULL DEFAULT true;

-- AlterTable
ALTER TABLE "Certificate" ADD COLUMN     "directory" TEXT,
ADD COLUMN     "leaseExpiresAt" TIMESTAMP(3),
ADD COLUMN     "leaseOwner" TEXT,
ADD COLUMN     "names" TEXT[],
ADD COLUMN     "orderUrl" TEXT,
ADD COLUMN     "renewalInfo" JSONB,
ADD COLUMN     "serial" TEXT,
ADD COLUMN     "source" TEXT NOT NULL DEFAULT 'acme';

-- CreateTable
CREATE TABLE "CertificateTry" (
    "id" BIGSERIAL NOT NULL,
    "teamId" TEXT NOT NULL,
    "certificateId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "directory" TEXT NOT NULL,
    "startedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endedAt" TIMESTAMP(3),
    "succeeded" BOOLEAN,
    "problem" JSONB,

    CONSTRAINT "CertificateTry_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AcmeAccount" (
    "directory" TEXT NOT NULL,
    "accountUrl" TEXT,
    "keyCiphertext" BYTEA NOT NULL,
    "bindingKeyId" TEXT,
    "contact" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "AcmeAccount_pkey" PRIMARY KEY ("directory")
);

-- CreateTable
CREATE TABLE "DnsProvider" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "credentials" BYTEA NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "DnsProvider_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "TrafficMinute" (
    "minute" TIMESTAMP(3) NOT NULL,
    "teamId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "instanceId" TEXT NOT NULL DEFAULT '',
    "deploymentId" TEXT NOT NULL DEFAULT '',
    "requests" BIGINT NOT NULL,
    "statuses" BIGINT[],
    "bytesIn" BIGINT NOT NULL,
    "bytesOut" BIGINT NOT NULL,
    "cacheHits" BIGINT NOT NULL,
    "latency" BIGINT[],

    CONSTRAINT "TrafficMinute_pkey" PRIMARY KEY ("projectId","minute","host","instanceId","deploymentId")
);

-- CreateTable
CREATE TABLE "AccessLine" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMP(3) NOT NULL,
    "teamId" TEXT NOT NULL,
    "projectId" TEXT NOT NULL,
    "deploymentId" TEXT,
    "instanceId" TEXT,
    "requestId" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "status" INTEGER NOT NULL,
    "durationMs" DOUBLE PRECISION NOT NULL,
    "detail" JSONB NOT NULL,

    CONSTRAINT "AccessLine_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "CertificateTry_certificateId_startedAt_idx" ON "CertificateTry"("certificateId", "startedAt" DESC);

-- CreateIndex
CREATE INDEX "CertificateTry_name_startedAt_idx" ON "CertificateTry"("name", "startedAt" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "DnsProvider_teamId_name_key" ON "DnsProvider"("teamId", "name");

-- CreateIndex
CREATE INDEX "TrafficMinute_teamId_minute_idx" ON "TrafficMinute"("teamId", "minute");

-- CreateIndex
CREATE INDEX "TrafficMinute_minute_idx" ON "TrafficMinute"("minute");

-- CreateIndex
CREATE INDEX "AccessLine_projectId_id_idx" ON "AccessLine"("projectId", "id" DESC);

-- CreateIndex
CREATE INDEX "AccessLine_projectId_status_id_idx" ON "AccessLine"("projectId", "status", "id" DESC);

-- CreateIndex
CREATE INDEX "AccessLine_requestId_idx" ON "AccessLine"("requestId");

-- CreateIndex
CREATE INDEX "AccessLine_at_idx" ON "AccessLine"("at");

-- AddForeignKey
ALTER TABLE "Domain" ADD CONSTRAINT "Domain_dnsProviderId_fkey" FOREIGN KEY ("dnsProviderId") REFERENCES "DnsProvider"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "CertificateTry" ADD CONSTRAINT "CertificateTry_certificateId_fkey" FOREIGN KEY ("certificateId") REFERENCES "Certificate"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "DnsProvider" ADD CONSTRAINT "DnsProvider_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "Team"("id") ON DELETE CASCADE ON UPDATE CASCADE;


