package virtualspeaker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// reply is a line that answers a command.
type reply struct {
	Error  string          `json:"error,omitempty"`
	Status json.RawMessage `json:"status,omitempty"`
}

// longestCommand is how long a line may be, in bytes.
const longestCommand = 256

// Serve passes the commands that come in on a new Unix socket to obey, one at a
// time, until ctx ends.
func Serve(ctx context.Context, socket string, obey func(command string) (status any, err error)) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	var one sync.Mutex
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		conns.Go(func() {
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			lines := bufio.NewScanner(conn)
			lines.Buffer(nil, longestCommand)
			for answers := json.NewEncoder(conn); lines.Scan(); {
				one.Lock()
				status, err := obey(lines.Text())
				one.Unlock()
				if answers.Encode(answer(status, err)) != nil {
					return
				}
			}
		})
	}
}

func answer(status any, err error) reply {
	if err != nil {
		return reply{Error: err.Error()}
	}
	text, err := json.Marshal(status)
	if err != nil {
		return reply{Error: err.Error()}
	}
	return reply{Status: text}
}

// Control gives commands to what listens on a socket by Serve. T is the status
// that it answers with.
type Control[T any] struct{ Socket string }

// obedience is how long a command may take.
const obedience = 10 * time.Second

// Tell gives a command and returns the status after it. The error says what
// was wrong with the command, or that nobody listens.
func (c Control[T]) Tell(command string) (status T, err error) {
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		return status, fmt.Errorf("control: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(obedience)); err != nil {
		return status, fmt.Errorf("control: %w", err)
	}
	var r reply
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return status, fmt.Errorf("control: %s: %w", command, err)
	}
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return status, fmt.Errorf("control: %s: %w", command, err)
	}
	if r.Error != "" {
		return status, errors.New("control: " + r.Error)
	}
	if err := json.Unmarshal(r.Status, &status); err != nil {
		return status, fmt.Errorf("control: %s: %w", command, err)
	}
	return status, nil
}
