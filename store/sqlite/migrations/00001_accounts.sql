-- +goose Up
CREATE TABLE accounts (
    aor       TEXT    NOT NULL PRIMARY KEY,                 -- sip:alice@example.com
    domain    TEXT    NOT NULL,                             -- example.com
    realm     TEXT    NOT NULL,
    username  TEXT    NOT NULL,
    digests   TEXT    NOT NULL CHECK (json_valid(digests)), -- {"SHA-256": "hexadecimal", ...}
    delegates TEXT    NOT NULL CHECK (json_valid(delegates)), -- ["sip:bob@example.com", ...]
    admin     INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created   INTEGER NOT NULL,                             -- times are nanoseconds since 1970
    updated   INTEGER NOT NULL,
    UNIQUE (realm, username)
) STRICT;

CREATE INDEX accounts_by_domain ON accounts (domain, aor);

CREATE TABLE tokens (
    hash    BLOB    NOT NULL PRIMARY KEY,                   -- SHA-256 of the secret
    name    TEXT    NOT NULL,
    aor     TEXT    NOT NULL,                               -- owner; '' for the server's own
    admin   INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL                                -- 0: never
) STRICT;

CREATE INDEX tokens_by_owner ON tokens (aor, name);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- +goose Down
DROP TABLE settings;
DROP TABLE tokens;
DROP TABLE accounts;
