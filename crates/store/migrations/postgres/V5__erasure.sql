-- Erasures of users that have begun and not ended, so that a crash does not stop them halfway.
CREATE TABLE erasures (
    user_id text COLLATE "C" PRIMARY KEY,
    -- The id that stands for the user from now on.
    alias text COLLATE "C" NOT NULL,
    -- Whether the texts of the user's messages stay.
    anonymise bigint NOT NULL,
    -- Tokens of the user issued before this time are invalid.
    before bigint NOT NULL,
    -- The run that carries it out. All others change nothing.
    owner text COLLATE "C" NOT NULL
);

-- Revocations of erased users, by a hash of the user's id.
CREATE TABLE erased_users (
    hash text COLLATE "C" PRIMARY KEY,
    before bigint NOT NULL
);
