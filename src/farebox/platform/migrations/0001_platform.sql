-- Operators and their credentials, secrets, audit and remembered answers. Time is microseconds UTC.
CREATE TABLE operator (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  roles TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT operator_pk PRIMARY KEY (id),
  CONSTRAINT operator_state_ck CHECK (state IN ('active', 'suspended'))
) STRICT;

-- Keys of operators and consumers. The digest is HMAC-SHA-256 under a pepper; the key is nowhere.
CREATE TABLE credential (
  digest BYTES NOT NULL,
  id TEXT NOT NULL,
  subject_kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  label TEXT NOT NULL,
  hint TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  CONSTRAINT credential_pk PRIMARY KEY (digest),
  CONSTRAINT credential_id_uq UNIQUE (id),
  CONSTRAINT credential_subject_kind_ck CHECK (subject_kind IN ('operator', 'consumer'))
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_subject_ix ON credential (subject, id);

-- What all nodes of a deployment share and nobody else sees; the newest version is in use.
CREATE TABLE secret (
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  value BYTES NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT secret_pk PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_key (
  kid TEXT NOT NULL,
  private TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  retired_at BIGINT,
  CONSTRAINT signing_key_pk PRIMARY KEY (kid)
) STRICT;

CREATE TABLE audit (
  seq IDENTITY,
  at BIGINT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  reason TEXT,
  before TEXT,
  after TEXT
) STRICT;
CREATE INDEX audit_subject_ix ON audit (subject, seq);
CREATE INDEX audit_actor_ix ON audit (actor, seq);
APPEND_ONLY audit;

-- Answers of POSTs that the ledger does not remember itself. The digest covers caller and key;
-- the answer is sealed, because it may hold a key that is shown only once.
CREATE TABLE posted (
  digest BYTES NOT NULL,
  fingerprint BYTES NOT NULL,
  answer BYTES,
  at BIGINT NOT NULL,
  CONSTRAINT posted_pk PRIMARY KEY (digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX posted_at_ix ON posted (at);
