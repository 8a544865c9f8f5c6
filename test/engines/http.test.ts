import { engineConformance } from '../conformance/engine.ts';
import { httpHarness } from '../conformance/harnesses/http.ts';

engineConformance(httpHarness);
