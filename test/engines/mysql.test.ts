import { engineConformance } from '../conformance/engine.ts';
import { mysqlHarness } from '../conformance/harnesses/mysql.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';

if (!isMariadbMissing) engineConformance(mysqlHarness);
