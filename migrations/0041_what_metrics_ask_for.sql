-- What is asked at each scrape of /metrics: mails that are not settled, and bill runs that are not. Without these each
-- question would read all mails and runs there ever were.
CREATE INDEX notifications_unsettled ON notifications (state)
    WHERE state IN ('queued', 'sending', 'failed', 'uncertain');
CREATE INDEX bill_runs_unsettled ON bill_runs (provider, state, started_at)
    WHERE state IN ('running', 'needs_attention');
