import { engineConformance } from '../conformance/engine.ts';
import { sqliteHarness } from '../conformance/harnesses/sqlite.ts';

engineConformance(sqliteHarness);
