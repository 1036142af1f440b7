// Which requests a stretch of time had to wait for, one after another.

// Walked back from the end of the stretch: the request that was answered last, then the one that was answered last before
// that began, and so on. With many requests at once the one before may be another app's, whose turn it was.
export function criticalPath(requests, from, to) {
  const path = [];
  let at = to;
  while (true) {
    const before = requests.filter((request) => request.to > from && request.to <= at && request.from < at);
    if (before.length === 0) return path;
    path.unshift(before.reduce((last, request) => (request.to > last.to ? request : last)));
    at = path[0].from;
  }
}

// How long they took together, from the begin of the stretch on.
export const milliseconds = (path, from) => path.reduce((sum, request) => sum + request.to - Math.max(request.from, from), 0);
