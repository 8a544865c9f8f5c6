import { postgresHarness } from '../conformance/harnesses/postgres.ts';
import { rowConformance } from '../conformance/rows.ts';

rowConformance(postgresHarness);
