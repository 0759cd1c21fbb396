-- Credentials of a repository, sealed. Those in addresses of existing rows are sealed at the next start: SQL has no key to do it.
ALTER TABLE "Project" ADD COLUMN "repositoryCredentials" BYTEA;
-- Nothing ever wrote these tables, and what they are for would be tokens in clear.
DROP TABLE "Account";
DROP TABLE "VerificationToken";
