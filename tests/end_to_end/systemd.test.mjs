// A whole rotation by a bot that systemd itself runs, with the properties of deploy/systemd/keyturn.service. (Where systemd
// doesn't run, service.test.mjs traces a rotation and holds it against the unit.)
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { assertNowhere, Stage } from './support/stage.mjs';
import { Process, until } from './support/process.mjs';

const sanitizer = /asan|tsan/.test(process.env.KEYTURN_BUILD ?? '') && 'a sanitizer needs what the service is denied';
const skip = sanitizer || (!existsSync('/run/systemd/system') && 'systemd does not run here: there is no /run/systemd/system');
const unit = await readFile(new URL('../../deploy/systemd/keyturn.service', import.meta.url), 'utf8');

// The lines of [Service], but for what has a place of its own in a test; a bot that fails is not to be started again.
function propertiesOf(name, secrets) {
  const [, service] = /^\[Service\]\n([^]*?)^\[Install\]/m.exec(unit);
  return service.split('\n').filter((line) => /^\w+=/.test(line) && !/^(ExecStart|Restart\w*)=/.test(line))
    .map((line) => line.replace('/etc/keyturn/secrets', secrets).replace(/^StateDirectory=.*/, `StateDirectory=${name}`));
}

test('systemd runs it with all of its hardening through a rotation, and stops it', { skip }, async (t) => {
  const stage = await Stage.open();
  t.after(() => stage.close());
  const old = await stage.currentKey();
  // The service sees neither /tmp nor anybody's home: the binary has to be elsewhere.
  const place = await mkdtemp('/opt/keyturn-test-');
  const name = basename(place);
  await chmod(place, 0o755);
  await copyFile(join(process.env.KEYTURN_BUILD ?? 'build/dev', 'keyturn'), join(place, 'keyturn'));
  const journal = `/var/lib/${name}/journal.db`;
  await stage.rewrite((text) => text.replace(/^journal = .*$/m, `journal = "${journal}"`).replace(/^secrets_folder = .*\n/m, ''));

  const properties = [...propertiesOf(name, `${stage.folder}/secrets`), `LoadCredential=keyturn.toml:${stage.settings}`];
  const service = new Process('systemd-run', ['--wait', '--pipe', '--collect', `--unit=${name}`,
    ...properties.map((property) => `--property=${property}`),
    join(place, 'keyturn'), 'run', '--config', `/run/credentials/${name}.service/keyturn.toml`]);
  service.endsByItself = true; // with the status of the service, which systemd stops
  stage.bots.push(service);
  const stop = async () => {
    if (!service.ended) execFileSync('systemctl', ['stop', name]);
    return service.exited;
  };
  try {
    await until('the service to be ready', async () => service.ended || (await stage.ready()));
    assert.ok(!service.ended, service.errors);
    const key = await stage.handOver();
    assert.equal((await stage.closed()).context.outcome, 'rotated');
    assert.deepEqual(await stop(), { code: 0, signal: null });
    assert.match(service.errors, /"event":"stopped"/);
    await copyFile(journal, `${stage.folder}/journal.db`); // where it is searched
    await assertNowhere(stage, [old, key]);
  } finally {
    await stop();
    for (const path of [place, `/var/lib/${name}`, `/var/lib/private/${name}`]) await rm(path, { recursive: true, force: true });
  }
});
