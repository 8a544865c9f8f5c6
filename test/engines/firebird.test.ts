import { engineConformance } from '../conformance/engine.ts';
import { firebirdHarness } from '../conformance/harnesses/firebird.ts';
import { isFirebirdMissing } from '../servers/firebird.ts';

if (!isFirebirdMissing) engineConformance(firebirdHarness);
