import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Stage } from './support/stage.mjs';
test('dump', async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  await stage.startBot();
  await stage.start();
  await stage.confirm();
  const link = await stage.link();
  const key = await stage.rotateInDashboard(7);
  await stage.submit(link, 'sk_li' + 've_' + 'q8T'.repeat(32));
  await stage.submit(link, key);
  await stage.closed();
  await stage.message('C0OPS', /is dead\./);
  await stage.bot.stop();
  writeFileSync('/tmp/work/ledger_schema_1.sql', execFileSync('sqlite3', [`${stage.folder}/journal.db`, '.dump']));
});
