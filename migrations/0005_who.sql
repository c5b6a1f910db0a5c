-- Which service, session, job or container made a flow, where the cgroup alone does not tell?
-- Cost: three columns of identities, empty for most. What was recorded before stays as it was.

-- The account that somebody logged in with: its name, or its number.
ALTER TABLE identity ADD COLUMN login_user TEXT;

-- Short name of the daemon among the ancestors that starts jobs at set times.
ALTER TABLE identity ADD COLUMN job_daemon TEXT;

-- What files of the host say of the container, as JSON.
ALTER TABLE identity ADD COLUMN container TEXT;
