import { sqliteHarness } from '../conformance/harnesses/sqlite.ts';
import { rowConformance } from '../conformance/rows.ts';

rowConformance(sqliteHarness);
