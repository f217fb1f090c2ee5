package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "the address to serve on")
	url := flag.String("url", "", "the address of this shop as browsers see it (default: http://LISTEN)")
	verifier := flag.String("verifier", "http://127.0.0.1:8443", "the address of verifier serve")
	keyFile := flag.String("key-file", "", "a file with the key that `verifier api-key add` printed")
	policy := flag.String("policy", "age", "the policy to ask by")
	flag.Parse()
	if err := run(*listen, *url, *verifier, *keyFile, *policy); err != nil {
		fmt.Fprintln(os.Stderr, "relying-party:", err)
		os.Exit(1)
	}
}

func run(listen, url, verifier, keyFile, policy string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("the key of this relying party: %w", err)
	}
	if url == "" {
		url = "http://" + listen
	}
	s := newShop(url, strings.TrimSuffix(verifier, "/"), strings.TrimSpace(string(key)), policy)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: listen, Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(last)
	}()
	fmt.Println("the shop is open at", url)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
