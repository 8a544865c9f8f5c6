import { engineConformance } from '../conformance/engine.ts';
import { firebirdHarness } from '../conformance/harnesses/firebird.ts';

engineConformance(firebirdHarness);
