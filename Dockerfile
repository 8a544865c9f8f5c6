# syntax=docker/dockerfile:1
# docker build -t lockstep:0.1.0 .            the image: serve by default, worker and everything else by name
# docker build --target test .                all tests, inside; the build fails when one does
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# Compiles: needs the development dependencies.
FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN node scripts/build.ts

# What runs later: the dependencies of the package alone.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force

# Runs the tests. PostgreSQL comes with a package; the other servers are Debian packages that the tests fetch themselves.
FROM build AS test
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates procps \
  && rm -rf /var/lib/apt/lists/*
COPY . .
ENV CI=1
RUN npm test

FROM ${NODE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="lockstep" \
  org.opencontainers.image.description="Keeps databases in agreement, and proves it" \
  org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
WORKDIR /opt/lockstep
COPY --from=dependencies /build/node_modules ./node_modules
COPY package.json README.md CHANGELOG.md LICENSE ./
COPY schema ./schema
COPY --from=build /build/dist ./dist
# /lockstep holds lockstep.yaml, and .lockstep when no control store is configured.
RUN ln -s /opt/lockstep/dist/main.js /usr/local/bin/lockstep && install -d -o node -g node /lockstep
USER 1000:1000
WORKDIR /lockstep
EXPOSE 8000
# Of `serve` without TLS of its own. Switch it off for workers (compose: healthcheck: { disable: true }).
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lockstep"]
# Listening beyond this container needs `server.auth`, and `server.tls` or `server.proxy`, in lockstep.yaml.
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
