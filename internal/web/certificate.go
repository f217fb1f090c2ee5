package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// aead are the cipher suites of TLS 1.2 with forward secrecy and no known fault.
// TLS 1.3 has no others.
var aead = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// certificate is a pair of files that may be replaced while the server runs.
type certificate struct {
	cert, key string
	log       *slog.Logger
	every     time.Duration // between looks at the files

	mu     sync.Mutex
	looked time.Time
	seen   [2]fileState
	pair   *tls.Certificate
}

// fileState tells one content of a file from the next.
type fileState struct {
	size int64
	time time.Time
}

func stateOf(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	return fileState{info.Size(), info.ModTime()}, nil
}

func loadCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, every: time.Second}
	seen, err := c.states()
	if err == nil {
		err = c.load(seen)
	}
	if err != nil {
		return nil, fmt.Errorf("web: the TLS certificate: %w", err)
	}
	c.looked = time.Now()
	return c, nil
}

func (c *certificate) states() (s [2]fileState, err error) {
	for i, path := range []string{c.cert, c.key} {
		if s[i], err = stateOf(path); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (c *certificate) load(seen [2]fileState) error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.pair, c.seen = &pair, seen
	return nil
}

// current returns the pair for the next connection. Files that cannot be read, such
// as one that was replaced before the other, leave the pair as it was.
func (c *certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= c.every {
		c.looked = now
		seen, err := c.states()
		if err == nil && seen != c.seen {
			if err = c.load(seen); err == nil {
				c.log.Info("the TLS certificate was read again")
			}
		}
		if err != nil {
			c.log.Warn("the TLS certificate cannot be read again; the old one serves on", "err", err)
		}
	}
	return c.pair, nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead, GetCertificate: c.current, NextProtos: []string{"h2", "http/1.1"}}
}
