-- Lists of domains and certificates go page by page, in the order of these; certificates are found by the names they cover.
CREATE INDEX "Domain_teamId_projectId_hostname_idx" ON "Domain"("teamId", "projectId", "hostname");
DROP INDEX "Domain_teamId_projectId_idx";
CREATE INDEX "Certificate_teamId_createdAt_id_idx" ON "Certificate"("teamId", "createdAt" DESC, "id" DESC);
DROP INDEX "Certificate_teamId_idx";
CREATE INDEX "Certificate_names_idx" ON "Certificate" USING GIN ("names");
