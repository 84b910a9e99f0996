-- schema 0009
CREATE TABLE registry_versions (
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
    actor VARCHAR NOT NULL,
    metadata TEXT NOT NULL,
    CONSTRAINT pk_registry_versions PRIMARY KEY (kind, name, number),
    CONSTRAINT uq_registry_versions_kind_name_digest UNIQUE (kind, name, digest)
);

CREATE TABLE registry_aliases (
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    alias VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    CONSTRAINT pk_registry_aliases PRIMARY KEY (kind, name, alias),
    CONSTRAINT fk_registry_aliases_kind_name_number_registry_versions FOREIGN KEY(kind, name, number) REFERENCES registry_versions (kind, name, number)
);

CREATE TABLE registry_alias_changes (
    id INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    alias VARCHAR NOT NULL,
    number INTEGER,
    previous INTEGER,
    changed_at DATETIME NOT NULL,
    actor VARCHAR NOT NULL,
    CONSTRAINT pk_registry_alias_changes PRIMARY KEY (id)
);

CREATE TABLE registry_edges (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    relation VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
    CONSTRAINT pk_registry_edges PRIMARY KEY (source, target, relation)
);

CREATE TABLE node_cache (
    "key" VARCHAR NOT NULL,
    value BLOB NOT NULL,
    size BIGINT NOT NULL,
    used_at DATETIME NOT NULL,
    CONSTRAINT pk_node_cache PRIMARY KEY ("key")
);

CREATE TABLE experiments (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    updated_at DATETIME NOT NULL,
    record TEXT NOT NULL,
    CONSTRAINT pk_experiments PRIMARY KEY (id),
    CONSTRAINT uq_experiments_name_number UNIQUE (name, number)
);

CREATE TABLE experiment_runs (
    experiment_id VARCHAR NOT NULL,
    variant VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    choices TEXT NOT NULL,
    arm VARCHAR NOT NULL,
    run VARCHAR NOT NULL,
    linked_at DATETIME NOT NULL,
    CONSTRAINT pk_experiment_runs PRIMARY KEY (experiment_id, variant),
    CONSTRAINT fk_experiment_runs_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
);

CREATE TABLE "runs" (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    experiment VARCHAR,
    created_at DATETIME NOT NULL,
    record TEXT NOT NULL,
    archived BOOLEAN DEFAULT 0 NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT uq_runs_name UNIQUE (name)
);

CREATE TABLE review_queues (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
    record TEXT NOT NULL,
    CONSTRAINT pk_review_queues PRIMARY KEY (id),
    CONSTRAINT uq_review_queues_name UNIQUE (name)
);

CREATE TABLE review_items (
    queue VARCHAR NOT NULL,
    place BIGINT NOT NULL,
    digest VARCHAR NOT NULL,
    item TEXT NOT NULL,
    CONSTRAINT pk_review_items PRIMARY KEY (queue, place),
    CONSTRAINT fk_review_items_queue_review_queues FOREIGN KEY(queue) REFERENCES review_queues (id) ON DELETE CASCADE
);

CREATE TABLE review_leases (
    queue VARCHAR NOT NULL,
    place BIGINT NOT NULL,
    reviewer VARCHAR NOT NULL,
    expires_at DATETIME NOT NULL,
    CONSTRAINT pk_review_leases PRIMARY KEY (queue, place, reviewer),
    CONSTRAINT fk_review_leases_queue_place_review_items FOREIGN KEY(queue, place) REFERENCES review_items (queue, place) ON DELETE CASCADE
);

CREATE TABLE review_labels (
    queue VARCHAR NOT NULL,
    place BIGINT NOT NULL,
    reviewer VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    is_latest BOOLEAN NOT NULL,
    state VARCHAR NOT NULL,
    value TEXT,
    comment TEXT NOT NULL,
    first VARCHAR,
    created_at DATETIME NOT NULL,
    CONSTRAINT pk_review_labels PRIMARY KEY (queue, place, reviewer, role, revision),
    CONSTRAINT fk_review_labels_queue_place_review_items FOREIGN KEY(queue, place) REFERENCES review_items (queue, place) ON DELETE CASCADE
);

CREATE TABLE gateway_feedback (
    experiment VARCHAR NOT NULL,
    edition VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,
    arm VARCHAR NOT NULL,
    value FLOAT NOT NULL,
    success INTEGER NOT NULL,
    recorded_at DATETIME NOT NULL, comment VARCHAR DEFAULT '' NOT NULL,
    CONSTRAINT pk_gateway_feedback PRIMARY KEY (experiment, edition, metric, call_id)
);

CREATE TABLE access_keys (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    organisation VARCHAR NOT NULL,
    team VARCHAR NOT NULL,
    user VARCHAR NOT NULL,
    use_case VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    models TEXT NOT NULL,
    operations TEXT NOT NULL,
    expires_at DATETIME,
    created_at DATETIME NOT NULL,
    created_by VARCHAR NOT NULL,
    revoked_at DATETIME,
    last_used DATE,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_access_keys PRIMARY KEY (id),
    CONSTRAINT uq_access_keys_name UNIQUE (name)
);

CREATE TABLE access_secrets (
    digest VARCHAR NOT NULL,
    "key" VARCHAR NOT NULL,
    prefix VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
    created_by VARCHAR NOT NULL,
    expires_at DATETIME,
    number INTEGER NOT NULL,
    CONSTRAINT pk_access_secrets PRIMARY KEY (digest),
    CONSTRAINT uq_access_secrets_key_number UNIQUE ("key", number),
    CONSTRAINT fk_access_secrets_key_access_keys FOREIGN KEY("key") REFERENCES access_keys (id)
);

CREATE TABLE access_audit (
    number BIGINT NOT NULL,
    at DATETIME NOT NULL,
    actor VARCHAR NOT NULL,
    actor_kind VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    "before" TEXT,
    "after" TEXT,
    previous VARCHAR NOT NULL,
    hash VARCHAR NOT NULL,
    CONSTRAINT pk_access_audit PRIMARY KEY (number)
);

CREATE TABLE database_identity (
    id VARCHAR NOT NULL,
    CONSTRAINT pk_database_identity PRIMARY KEY (id)
);

CREATE TABLE gateway_ledger_batches (
    number BIGINT NOT NULL,
    segment VARCHAR NOT NULL,
    "begin" BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    host VARCHAR NOT NULL,
    sent_at DATETIME NOT NULL,
    data BLOB NOT NULL,
    CONSTRAINT pk_gateway_ledger_batches PRIMARY KEY (number),
    CONSTRAINT uq_gateway_ledger_batches_segment_begin UNIQUE (segment, "begin")
);

CREATE INDEX ix_registry_alias_changes_kind_name ON registry_alias_changes (kind, name);

CREATE INDEX ix_registry_edges_target ON registry_edges (target);

CREATE INDEX ix_node_cache_used_at ON node_cache (used_at);

CREATE INDEX ix_experiments_updated_at ON experiments (updated_at);

CREATE INDEX ix_experiment_runs_arm ON experiment_runs (arm);

CREATE INDEX ix_runs_experiment ON runs (experiment);

CREATE INDEX ix_access_keys_revision ON access_keys (revision);

CREATE INDEX ix_access_audit_target ON access_audit (target);
