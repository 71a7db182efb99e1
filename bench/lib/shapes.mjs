// Rows made from a seed: the same shape and number give the same row on any machine.

/** A small fast generator of 32-bit numbers (xorshift with a Weyl sequence). */
function random(seed) {
  let a = seed | 0 || 1
  let weyl = 0
  return () => {
    a ^= a << 13
    a ^= a >>> 17
    a ^= a << 5
    weyl = (weyl + 0x9e3779b9) | 0
    return (a + weyl) >>> 0
  }
}

const WORDS =
  'amber basin cedar delta ember fjord grove haven inlet jetty knoll lagoon meadow north orchard prairie quarry ridge summit tundra upland valley willow yonder zenith'.split(
    ' ',
  )
const COUNTRIES = ['DE', 'FR', 'US', 'JP', 'BR', 'IN', 'GB', 'NL', 'SE', 'ZA']
const WORLD =
  'Straße naïve Łódź Ωμέγα Привет мир こんにちは 世界 東京都 서울 שלום مرحبا नमस्ते Việt 🚀 🎉 👩‍🔬 ½ € “zitat” façade Ærø Ünder'.split(
    ' ',
  )

const pick = (list, bits) => list[bits % list.length]
const cents = (bits, below) => (bits % (below * 100)) / 100

function timestamp(bits) {
  return new Date(1_577_836_800_000 + (bits % 189_216_000) * 1000).toISOString()
}

const orderColumns = {
  id: 'number',
  customer: 'string',
  email: 'string',
  country: 'string',
  qty: 'number',
  price: 'number',
  discount: 'number',
  paid: 'boolean',
  created_at: 'string',
  note: 'string',
}

function order(i, next) {
  const name = `${pick(WORDS, next())} ${pick(WORDS, next())}`
  return {
    id: i + 1,
    customer: name,
    email: `${name.replace(' ', '.')}${next() % 1000}@example.org`,
    country: pick(COUNTRIES, next()),
    qty: 1 + (next() % 50),
    price: cents(next(), 500),
    discount: (next() % 100) / 100,
    paid: (next() & 1) === 1,
    created_at: timestamp(next()),
    note: next() % 4 === 0 ? null : `${pick(WORDS, next())} ${pick(WORDS, next())} ${pick(WORDS, next())}`,
  }
}

const wideColumns = { id: 'number' }
for (let c = 1; c < 60; c++) {
  wideColumns[`${['amount', 'rate', 'label', 'flag', 'code'][c % 5]}_${c}`] = [
    'number',
    'number',
    'string',
    'boolean',
    'string',
  ][c % 5]
}
const wideNames = Object.keys(wideColumns)

function wide(i, next) {
  const row = { id: i + 1 }
  for (let c = 1; c < 60; c++) {
    const bits = next()
    const kind = c % 5
    row[wideNames[c]] =
      kind === 0
        ? bits % 1_000_000
        : kind === 1
          ? cents(bits, 1000)
          : kind === 2
            ? pick(WORDS, bits)
            : kind === 3
              ? (bits & 1) === 1
              : bits % 8 === 0
                ? null
                : `${pick(COUNTRIES, bits)}-${bits % 977}`
  }
  return row
}

const quotedColumns = {
  id: 'number',
  name: 'string',
  address: 'string',
  said: 'string',
  lines: 'string',
  price: 'number',
  tags: 'string',
  paid: 'boolean',
}

function quoted(i, next) {
  const a = pick(WORDS, next())
  const b = pick(WORDS, next())
  return {
    id: i + 1,
    name: `${b}, ${a}`,
    address: `${1 + (next() % 200)} ${a} street, ${b}`,
    said: `he said "${a}, ${b}" twice`,
    lines: `first ${a}\nsecond ${b}`,
    price: cents(next(), 500),
    tags: `${a},${b},${pick(WORDS, next())}`,
    paid: (next() & 1) === 1,
  }
}

const unicodeColumns = {
  id: 'number',
  name: 'string',
  city: 'string',
  greeting: 'string',
  title: 'string',
  price: 'number',
  paid: 'boolean',
  comment: 'string',
}

function unicode(i, next) {
  return {
    id: i + 1,
    name: `${pick(WORLD, next())} ${pick(WORLD, next())}`,
    city: pick(WORLD, next()),
    greeting: `${pick(WORLD, next())} ${pick(WORDS, next())} ${pick(WORLD, next())}`,
    title: `${pick(WORLD, next())}${pick(WORLD, next())}`,
    price: cents(next(), 500),
    paid: (next() & 1) === 1,
    comment: `${pick(WORLD, next())} ${pick(WORLD, next())} ${pick(WORLD, next())}`,
  }
}

/** Columns with the type that each contender is told or infers, and the maker of row `i`. */
export const SHAPES = {
  narrow: { columns: orderColumns, make: order },
  wide: { columns: wideColumns, make: wide },
  quoted: { columns: quotedColumns, make: quoted },
  unicode: { columns: unicodeColumns, make: unicode },
}

export function* rowsOf(shape, rows) {
  const { make } = SHAPES[shape]
  const next = random(0x1f123bb5)
  for (let i = 0; i < rows; i++) yield make(i, next)
}

/** What `map` does in the cases with a transform: one new column from two others. */
export function mapOrder(order) {
  return { ...order, total: Math.round(order.qty * order.price * 100) / 100 }
}
