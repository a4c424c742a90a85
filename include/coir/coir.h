/* coir/coir.h: everything that libcoir offers to programs (testing has <coir/testing.h>). */
#ifndef COIR_COIR_H
#define COIR_COIR_H

#include <coir/activation.h>
#include <coir/barrier.h>
#include <coir/base.h>
#include <coir/broadcast.h>
#include <coir/buffer.h>
#include <coir/capacity.h>
#include <coir/channel.h>
#include <coir/completions.h>
#include <coir/condition.h>
#include <coir/debug.h>
#include <coir/descriptor.h>
#include <coir/error.h>
#include <coir/event.h>
#include <coir/file.h>
#include <coir/filter.h>
#include <coir/fs.h>
#include <coir/future.h>
#include <coir/generator.h>
#include <coir/group.h>
#include <coir/lock.h>
#include <coir/loop.h>
#include <coir/passing.h>
#include <coir/pipe.h>
#include <coir/process.h>
#include <coir/proxy.h>
#include <coir/queue.h>
#include <coir/race.h>
#include <coir/retry.h>
#include <coir/rwlock.h>
#include <coir/scope.h>
#include <coir/select.h>
#include <coir/semaphore.h>
#include <coir/signal.h>
#include <coir/singleflight.h>
#include <coir/stream.h>
#include <coir/stream_pair.h>
#include <coir/task.h>
#include <coir/tcp.h>
#include <coir/threads.h>
#include <coir/udp.h>
#include <coir/watch.h>
#include <coir/workers.h>

#endif
