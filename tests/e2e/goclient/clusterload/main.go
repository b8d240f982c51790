// A go-redis cluster program under load: counters in all slots, each written by one goroutine that knows what it was last
// told. It reads commands on stdin, a line each: "check" reads every counter back and compares, "quit" ends.
//
//	clusterload HOST:PORT...
//
// Prints "ready" when every slot's counter has been written once, and for each check "ok COUNTERS WRITES LOST ERRORS
// WORST_MS": lost are acknowledged increments that are missing, errors are commands that failed after go-redis' own retries,
// worst is the longest time without a success of one goroutine.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const workers = 8
const countersEach = 250

type counter struct {
	key     string
	known   int64 // the last reply
	unknown int64 // increments without a reply: they may have happened
}

type worker struct {
	mutex    sync.Mutex
	counters []counter
	last     time.Time
}

var writes, failures, worst atomic.Int64

func (w *worker) step(ctx context.Context, db *redis.ClusterClient, i int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	c := &w.counters[i]
	n, err := db.Incr(ctx, c.key).Result()
	now := time.Now()
	if err != nil {
		c.unknown++
		failures.Add(1)
		time.Sleep(10 * time.Millisecond)
		return
	}
	if gap := now.Sub(w.last).Milliseconds(); !w.last.IsZero() && gap > worst.Load() {
		worst.Store(gap)
	}
	w.last = now
	writes.Add(1)
	c.known = n
}

// How many acknowledged increments are missing.
func (w *worker) check(ctx context.Context, db *redis.ClusterClient) (int64, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var lost int64
	for i := range w.counters {
		c := &w.counters[i]
		n, err := db.Get(ctx, c.key).Int64()
		// go-redis asks for the slots anew every ten seconds, or when a node redirects it; a dead one does not.
		for end := time.Now().Add(20 * time.Second); err != nil && !errors.Is(err, redis.Nil) && time.Now().Before(end); {
			time.Sleep(100 * time.Millisecond)
			n, err = db.Get(ctx, c.key).Int64()
		}
		if errors.Is(err, redis.Nil) {
			n, err = 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.key, err)
		}
		if n < c.known {
			lost += c.known - n
		}
		c.known = n
	}
	w.last = time.Time{}
	return lost, nil
}

func main() {
	ctx := context.Background()
	db := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: os.Args[1:], MaxRedirects: 8, DialTimeout: time.Second, ReadTimeout: 2 * time.Second,
	})
	all := make([]*worker, workers)
	var begun sync.WaitGroup
	var stop atomic.Bool
	for k := range all {
		w := &worker{}
		for i := range countersEach {
			w.counters = append(w.counters, counter{key: fmt.Sprintf("load:%d:%d", k, i)})
		}
		all[k] = w
		begun.Add(1)
		go func() {
			for i := 0; !stop.Load(); i++ {
				w.step(ctx, db, i%countersEach)
				if i == countersEach-1 {
					begun.Done()
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	begun.Wait()
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) == "quit" {
			break
		}
		var lost int64
		for _, w := range all {
			n, err := w.check(ctx, db)
			if err != nil {
				fmt.Println("failed", err)
				os.Exit(1)
			}
			lost += n
		}
		fmt.Println("ok", workers*countersEach, writes.Load(), lost, failures.Load(), worst.Swap(0))
	}
	stop.Store(true)
}
