"""The tables of the SQLite index."""

SCHEMA_VERSION = 7

TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE replica(
  name TEXT NOT NULL, number INTEGER NOT NULL, clock INTEGER NOT NULL, file INTEGER NOT NULL, heard TEXT NOT NULL
);

CREATE TABLE own_replicas(name TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE operations(
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  clock INTEGER NOT NULL,
  actor TEXT NOT NULL,
  issue TEXT NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  act INTEGER NOT NULL
);

CREATE TABLE issues(
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL DEFAULT '',
  type TEXT NOT NULL DEFAULT 'task',
  priority INTEGER NOT NULL DEFAULT 2,
  status TEXT NOT NULL DEFAULT 'open',
  resolution TEXT,
  scope TEXT NOT NULL DEFAULT '[]',
  parent TEXT,
  agent TEXT,
  assignee TEXT,
  needs_person TEXT,
  deferred_until REAL,
  due_at REAL,
  estimate_minutes INTEGER,
  external_ref TEXT,
  created_by TEXT NOT NULL DEFAULT '',
  created_at REAL NOT NULL,
  created_clock INTEGER NOT NULL,
  updated_at REAL NOT NULL,
  closed_at REAL,
  budget_from INTEGER NOT NULL DEFAULT 0,
  open_blockers INTEGER NOT NULL DEFAULT 0,
  not_needed INTEGER NOT NULL DEFAULT 0,
  lease_owner TEXT,
  lease_expires REAL,
  lease_granted REAL,
  lease_token INTEGER NOT NULL DEFAULT 0,
  landed_commit TEXT,
  -- Last: a long text lies on pages of its own, which only who wants what comes after it has to read.
  body TEXT NOT NULL DEFAULT '',
  acceptance TEXT NOT NULL DEFAULT '',
  design TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE labels(issue TEXT, label TEXT, PRIMARY KEY(issue, label)) WITHOUT ROWID;

CREATE TABLE dependencies(
  issue TEXT, target TEXT, kind TEXT, clock INTEGER NOT NULL, operation TEXT NOT NULL,
  ignored INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(issue, target, kind)
) WITHOUT ROWID;
CREATE INDEX dependencies_by_target ON dependencies(target, kind, issue);

CREATE TABLE comments(id TEXT PRIMARY KEY, issue TEXT NOT NULL, actor TEXT NOT NULL, at REAL NOT NULL,
  text TEXT NOT NULL, clock INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX comments_by_issue ON comments(issue, clock, id);

CREATE TABLE attachments(id TEXT PRIMARY KEY, issue TEXT NOT NULL, name TEXT NOT NULL, blob TEXT NOT NULL,
  size INTEGER NOT NULL, actor TEXT NOT NULL, at REAL NOT NULL, clock INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX attachments_by_issue ON attachments(issue, clock, id);

CREATE TABLE attempts(
  id TEXT PRIMARY KEY, issue TEXT NOT NULL, number INTEGER NOT NULL, agent TEXT NOT NULL, state TEXT NOT NULL,
  outcome TEXT, detail TEXT NOT NULL DEFAULT '', base TEXT, head TEXT, rounds INTEGER NOT NULL DEFAULT 0,
  host TEXT NOT NULL, pid INTEGER NOT NULL, pid_started REAL NOT NULL, started_at REAL NOT NULL, ended_at REAL,
  tokens_used INTEGER, tokens_window INTEGER, replica TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX attempts_by_issue ON attempts(issue, number);

CREATE TABLE attempt_notes(attempt TEXT NOT NULL, topic TEXT NOT NULL, issue TEXT NOT NULL, at REAL NOT NULL,
  data TEXT NOT NULL, PRIMARY KEY (attempt, topic)) WITHOUT ROWID;
CREATE INDEX attempt_notes_by_issue ON attempt_notes(issue);

CREATE TABLE failure_signatures(signature TEXT NOT NULL, attempt TEXT NOT NULL, issue TEXT NOT NULL,
  PRIMARY KEY (signature, attempt)) WITHOUT ROWID;
CREATE INDEX failure_signatures_by_issue ON failure_signatures(issue, attempt);

CREATE TABLE changes(
  id TEXT PRIMARY KEY, issue TEXT NOT NULL, attempt TEXT NOT NULL, "commit" TEXT NOT NULL, base TEXT NOT NULL,
  state TEXT NOT NULL, submitted_at REAL NOT NULL, candidate TEXT, verdict TEXT, submitted_clock INTEGER NOT NULL,
  replica TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX changes_by_issue ON changes(issue, submitted_clock);
CREATE INDEX changes_open ON changes(issue, state) WHERE state IN ('queued', 'gating', 'passed');

CREATE TABLE activity(attempt TEXT PRIMARY KEY, text TEXT NOT NULL, used INTEGER, window INTEGER, at REAL NOT NULL,
  state TEXT NOT NULL, waits_for TEXT NOT NULL) WITHOUT ROWID;
"""

INDEXES = """
CREATE INDEX operations_by_issue ON operations(issue, clock, id);
CREATE INDEX operations_heard ON operations(id) WHERE kind = 'heard';
CREATE INDEX issues_by_status ON issues(status, priority, created_clock);
CREATE INDEX issues_by_parent ON issues(parent) WHERE parent IS NOT NULL;
CREATE INDEX issues_by_external_ref ON issues(external_ref) WHERE external_ref IS NOT NULL;
CREATE INDEX issues_leased ON issues(lease_expires) WHERE lease_owner IS NOT NULL;
CREATE INDEX issues_ready ON issues(priority, created_clock, id)
  WHERE status = 'open' AND open_blockers = 0 AND not_needed = 0 AND needs_person IS NULL AND type <> 'epic';
CREATE INDEX issues_deferred ON issues(deferred_until) WHERE deferred_until IS NOT NULL AND status = 'open'
  AND open_blockers = 0 AND not_needed = 0 AND needs_person IS NULL AND type <> 'epic';
CREATE INDEX issues_blocked ON issues(priority, created_clock, id) WHERE status = 'open' AND open_blockers > 0;
CREATE INDEX issues_epics ON issues(status, priority, created_clock, id) WHERE type = 'epic';
CREATE INDEX issues_not_needed ON issues(priority, created_clock, id) WHERE status = 'open' AND not_needed = 1;
CREATE INDEX issues_by_resolution ON issues(resolution) WHERE resolution IS NOT NULL;
CREATE INDEX issues_closed ON issues(closed_at, id) WHERE status = 'closed';
CREATE INDEX issues_need_person ON issues(priority, created_clock, id) WHERE needs_person IS NOT NULL;
CREATE INDEX labels_by_label ON labels(label, issue);
CREATE INDEX dependencies_ignored ON dependencies(issue) WHERE ignored;
CREATE INDEX comments_newest ON comments(clock, id);
CREATE INDEX attempt_notes_by_topic ON attempt_notes(topic, at);
CREATE INDEX attempts_running ON attempts(started_at) WHERE state <> 'ended';
CREATE INDEX attempts_failed ON attempts(ended_at, id)
  WHERE outcome IN ('failed', 'conflict', 'interrupted', 'stopped');
"""
"""What neither the fold of a whole log nor deriving who waits for whom looks anything up by: an index that is filled at
once gets them afterwards, which takes half the time, and a fold that nobody keeps needs none."""

EMPTY = """
INSERT INTO meta VALUES ('flushed', 0);
INSERT INTO replica VALUES ('', 0, 0, 0, '');
"""
"""What an index without operations says of itself."""
