// node-oidc-provider's storage in PostgreSQL, as its documentation asks for one: a row for each thing, its payload as JSON, and beside it what it is
// looked up by. https://github.com/panva/node-oidc-provider/blob/main/example/my_adapter.js names what each method owes.
import { pool, prepared } from './workers.mjs';

export const createTable = () => pool.query(`
  CREATE TABLE oidc_models (
    model text NOT NULL, id text NOT NULL, payload jsonb NOT NULL, grant_id text, user_code text, uid text,
    expires_at timestamptz, consumed_at timestamptz, PRIMARY KEY (model, id));
  CREATE INDEX ON oidc_models (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX ON oidc_models (user_code) WHERE user_code IS NOT NULL;
  CREATE INDEX ON oidc_models (uid) WHERE uid IS NOT NULL`);

const seconds = 'extract(epoch FROM consumed_at)::bigint::int';
const found = 'SELECT payload, ' + seconds + ' AS consumed FROM oidc_models WHERE model = $1 AND (expires_at IS NULL OR expires_at > now())';
const byId = prepared('find', `${found} AND id = $2`);
const byUid = prepared('find_uid', `${found} AND uid = $2`);
const byUserCode = prepared('find_user_code', `${found} AND user_code = $2`);
const insert = prepared('upsert', `
  INSERT INTO oidc_models (model, id, payload, grant_id, user_code, uid, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
  ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id, user_code = excluded.user_code,
    uid = excluded.uid, expires_at = excluded.expires_at`);
const mark = prepared('consume', 'UPDATE oidc_models SET consumed_at = now() WHERE model = $1 AND id = $2');
const remove = prepared('destroy', 'DELETE FROM oidc_models WHERE model = $1 AND id = $2');
const revoke = prepared('revoke', 'DELETE FROM oidc_models WHERE model = $1 AND grant_id = $2');

const payload = ([row]) => row && { ...row.payload, ...(row.consumed && { consumed: row.consumed }) };

export class PostgresAdapter {
  constructor(model) {
    this.model = model;
  }

  find = async id => payload(await byId(this.model, id));
  findByUid = async uid => payload(await byUid(this.model, uid));
  findByUserCode = async code => payload(await byUserCode(this.model, code));
  consume = id => mark(this.model, id);
  destroy = id => remove(this.model, id);
  revokeByGrantId = grantId => revoke(this.model, grantId);
  upsert = (id, body, expiresIn) => insert(this.model, id, body, body.grantId ?? null, body.userCode ?? null, body.uid ?? null, expiresIn ?? null);
}
