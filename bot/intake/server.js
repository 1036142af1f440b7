// Asking the server. Nothing but a token and sealed messages goes through here.

const PATIENCE = 30000;  // ms

// The answer's JSON with its HTTP `status`; null when there was no answer that can be read (no network, a proxy's page).
export async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      cache: 'no-store',
      credentials: 'same-origin',  // the session of a sign-in with Slack
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE),
    });
    return { ...await response.json(), status: response.status };
  } catch {
    return null;
  }
}
