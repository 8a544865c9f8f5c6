import { engineConformance } from '../conformance/engine.ts';
import { postgresHarness } from '../conformance/harnesses/postgres.ts';

engineConformance(postgresHarness);
