import { firebirdHarness } from '../conformance/harnesses/firebird.ts';
import { rowConformance } from '../conformance/rows.ts';
import { isFirebirdMissing } from '../servers/firebird.ts';

if (!isFirebirdMissing) rowConformance(firebirdHarness);
