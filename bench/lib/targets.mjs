// What the fast lanes were asked to reach, as ratios within one run.

const SHAPES = ['narrow', 'wide', 'quoted', 'unicode']
const LIMIT_BYTES = 160e6
const APART = 0.15

/** Several peers mean the fastest of them. */
const each = (name, measure, peers, atLeast, ours = 'infino-etl') => ({ name, measure, peers, atLeast, ours })

const TABLE = [
  ...SHAPES.flatMap((shape) => [
    each(`csv-typed-${shape}`, 'wallMs', ['csv-parse', 'csv-parse/sync'], 8),
    each(`csv-typed-${shape}`, 'wallMs', ['PapaParse'], 2.5),
    each(`csv-typed-${shape}`, 'wallMs', ['uDSV'], 1.2),
  ]),
  each('csv-lines-narrow', 'wallMs', ['csv-parse + JSON.stringify'], 20),
  ...SHAPES.flatMap((shape) => [
    each(`json-${shape}`, 'wallMs', ['stream-json', 'stream-json (piped)'], 12),
    each(`json-${shape}`, 'wallMs', ['JSON.parse'], 0.85),
  ]),
  ...SHAPES.flatMap((shape) => [
    each(`jsonl-${shape}`, 'wallMs', ['ndjson'], 1.3),
    each(`jsonl-${shape}`, 'wallMs', ['ndjson'], 10, 'infino-etl (unparsed)'),
  ]),
  each('core', 'wallMs', ['object-mode streams'], 6),
  each('core', 'wallMs', ['array passes by hand'], 0.5),
  {
    ...each('paging-latency', 'wallMs', ['one page at a time'], 3.3, 'infino-etl (window 4)'),
    title: 'window of 4 pages against one at a time',
  },
  each('upload-jsonl', 'cpuMs', ['helpers.bulk'], 6),
  each('upload-jsonl', 'wallMs', ['helpers.bulk'], 5),
  each('upload-jsonl', 'wallMs', ['elasticdump'], 15),
  each('upload-jsonl-map', 'cpuMs', ['helpers.bulk'], 1.5),
  each('upload-csv', 'cpuMs', ['csv-parse + fetch'], 6),
  each('upload-json', 'wallMs', ['stream-json + fetch'], 10),
]

const MEASURES = { wallMs: 'wall time', cpuMs: 'client CPU time' }

/** One line per target whose cases were run: `{ title, asked, got, reached }`. */
export function judge(results) {
  const of = (name) => results.find((one) => one.name === name)
  const lines = []
  for (const { name, measure, peers, atLeast, ours, title } of TABLE) {
    const one = of(name)
    const mine = one?.contenders[ours]?.summary?.[measure].median
    const others = peers
      .map((peer) => one?.contenders[peer]?.summary?.[measure].median)
      .filter((value) => value !== undefined)
    if (mine === undefined || others.length === 0) continue
    const ratio = Math.min(...others) / mine
    lines.push({
      case: name,
      title:
        title ??
        `${one.title}${ours === 'infino-etl' ? '' : `, ${ours.replace('infino-etl ', '')}`}: ${MEASURES[measure]} against ${peers[0]}`,
      asked: `${atLeast} x`,
      got: `${ratio.toFixed(2)} x`,
      ratio,
      atLeast,
      reached: ratio >= atLeast,
    })
  }
  for (const kind of ['jsonl', 'jsonl-map', 'csv']) {
    const [small, large] = ['small', 'large'].map((size) => of(`memory-${kind}-${size}`))
    const [a, b] = [small, large].map((one) => one?.contenders['infino-etl']?.summary?.rssBytes.median)
    if (a === undefined || b === undefined) continue
    const apart = Math.abs(a - b) / Math.min(a, b)
    lines.push({
      case: `memory-${kind}`,
      title: `Peak RSS, ${kind.replace('-', ' through ')}: ${mb(small.bytes)} and ${mb(large.bytes)} of the same file`,
      asked: `both under ${mb(LIMIT_BYTES)}, within ${APART * 100} %`,
      got: `${mb(a)} and ${mb(b)}, ${(apart * 100).toFixed(0)} % apart`,
      ratio: LIMIT_BYTES / Math.max(a, b),
      atLeast: 1,
      reached: Math.max(a, b) < LIMIT_BYTES && apart <= APART,
    })
  }
  return lines
}

const mb = (bytes) => `${Math.round(bytes / 1e6)} MB`
