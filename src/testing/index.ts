/**
 * Contract suites for sources, transforms and sinks, for any test runner: lists of cases with a name and a
 * function that rejects when the behaviour is not shown.
 */
export type { ContractCase } from './case.js'
export { type RowsSourceOptions, rowsSource } from './rows-source.js'
export { type Destination, type SinkFacts, sinkCases } from './sink-cases.js'
export { type BrokenSource, type SourceFacts, sourceCases } from './source-cases.js'
export { type TransformFacts, transformCases } from './transform-cases.js'
