// A go-redis program as a user would write one: strings, expiry, pipelines, transactions with WATCH, publish and
// subscribe, scan. Usage: goclient HOST:PORT [PROTOCOL]. Prints "ok" at the end; any failure ends it with a message.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func expect(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		check(what, fmt.Errorf("got %v, want %v", got, want))
	}
}

func stringsAndExpiry(ctx context.Context, db *redis.Client) {
	check("set", db.Set(ctx, "go:k", "value", 0).Err())
	v, err := db.Get(ctx, "go:k").Result()
	check("get", err)
	expect("get", v, "value")
	_, err = db.Get(ctx, "go:missing").Result()
	if !errors.Is(err, redis.Nil) {
		check("get of a missing key", fmt.Errorf("got %v, want redis.Nil", err))
	}
	check("set with expiry", db.Set(ctx, "go:e", "x", time.Minute).Err())
	ttl, err := db.TTL(ctx, "go:e").Result()
	check("ttl", err)
	if ttl < 50*time.Second || ttl > time.Minute {
		check("ttl", fmt.Errorf("got %v", ttl))
	}
	n, err := db.IncrBy(ctx, "go:n", 41).Result()
	check("incrby", err)
	expect("incrby", n, 41)
	f, err := db.IncrByFloat(ctx, "go:n", 1.5).Result()
	check("incrbyfloat", err)
	expect("incrbyfloat", f, 42.5)
}

func pipelines(ctx context.Context, db *redis.Client) {
	var gets [1000]*redis.StringCmd
	_, err := db.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range gets {
			p.Set(ctx, "go:p"+strconv.Itoa(i), i, 0)
			gets[i] = p.Get(ctx, "go:p"+strconv.Itoa(i))
		}
		return nil
	})
	check("pipeline", err)
	for i, g := range gets {
		expect("pipelined get", g.Val(), i)
	}
	_, err = db.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "go:t")
		p.Incr(ctx, "go:t")
		return nil
	})
	check("multi", err)
	expect("multi", db.Get(ctx, "go:t").Val(), 2)
}

func watched(ctx context.Context, db *redis.Client) {
	done := make(chan error)
	for range 8 {
		go func() {
			for range 50 {
				for {
					err := db.Watch(ctx, func(tx *redis.Tx) error {
						n, err := tx.Get(ctx, "go:w").Int()
						if err != nil && !errors.Is(err, redis.Nil) {
							return err
						}
						_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
							p.Set(ctx, "go:w", n+1, 0)
							return nil
						})
						return err
					}, "go:w")
					if err == nil {
						break
					}
					if !errors.Is(err, redis.TxFailedErr) {
						done <- err
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		check("watch", <-done)
	}
	expect("watched counter", db.Get(ctx, "go:w").Val(), 400)
}

func pubsub(ctx context.Context, db *redis.Client) {
	sub := db.Subscribe(ctx, "go:ch")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	check("subscribe", err)
	check("psubscribe", sub.PSubscribe(ctx, "go:pat*"))
	time.Sleep(50 * time.Millisecond)
	check("publish", db.Publish(ctx, "go:ch", "hello").Err())
	check("publish", db.Publish(ctx, "go:pattern", "there").Err())
	got := map[string]string{}
	timeout := time.After(5 * time.Second)
	for len(got) < 2 {
		select {
		case m := <-sub.Channel():
			got[m.Channel] = m.Payload
		case <-timeout:
			check("messages", fmt.Errorf("only %v", got))
		}
	}
	expect("messages", got, map[string]string{"go:ch": "hello", "go:pattern": "there"})
}

func scan(ctx context.Context, db *redis.Client) {
	var keys []string
	it := db.Scan(ctx, 0, "go:p[0-9]*", 100).Iterator()
	seen := map[string]bool{}
	for it.Next(ctx) {
		if !seen[it.Val()] {
			seen[it.Val()] = true
			keys = append(keys, it.Val())
		}
	}
	check("scan", it.Err())
	sort.Strings(keys)
	expect("scanned keys", len(keys), 1000)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	protocol := 3
	if len(os.Args) > 2 {
		protocol, _ = strconv.Atoi(os.Args[2])
	}
	db := redis.NewClient(&redis.Options{Addr: os.Args[1], Protocol: protocol, DB: 2, PoolSize: 10})
	defer db.Close()
	check("ping", db.Ping(ctx).Err())
	stringsAndExpiry(ctx, db)
	pipelines(ctx, db)
	watched(ctx, db)
	pubsub(ctx, db)
	scan(ctx, db)
	check("flushdb", db.FlushDB(ctx).Err())
	fmt.Println("ok")
}
