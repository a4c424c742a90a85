/* ranges.c: which parts of a file a request asks for, and how they are sent: RFC 9110, section 14.
 *
 * Parts that overlap or touch become one, so that nothing is sent twice, and who names more than 16
 * gets the whole: many small ones cost no more than one that is large. Several go as
 * multipart/byteranges, each behind a head of its own, and all in one length. Called by files.c.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include <coir/memory.h>

#include "app.h"

#define COPIED ((uint64_t)64 << 10) /* that is copied: cheaper so than sent by the kernel */

enum { RANGES = 16, BOUNDARY = 17 }; /* of a request; the bytes of a boundary with its end */

struct range {
    uint64_t first, length;
};

/* ---- what is asked for ---- */

static bool read_number(const char **text, uint64_t *ret_number)
{
    const char *at = *text;
    *ret_number = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(*ret_number, 10, ret_number) ||
            __builtin_add_overflow(*ret_number, (uint64_t)(*at - '0'), ret_number))
            return false;
    bool some = at > *text;
    *text = at;
    return some;
}

/* The range at *text, which moves behind it, within size. Returns 1; 0 when nothing of it is there;
 * -1 for what is no range. */
static int read_range(const char **text, uint64_t size, struct range *ret_range)
{
    uint64_t first, last = UINT64_MAX;
    if (**text == '-') { /* the last so many */
        ++*text;
        if (!read_number(text, &last))
            return -1;
        uint64_t length = last < size ? last : size;
        *ret_range = (struct range){size - length, length};
        return length > 0;
    }
    if (!read_number(text, &first) || **text != '-')
        return -1;
    ++*text;
    bool bounded = **text >= '0' && **text <= '9';
    if ((bounded && !read_number(text, &last)) || last < first)
        return -1;
    if (first >= size)
        return 0;
    *ret_range = (struct range){first, (last < size ? last : size - 1) - first + 1};
    return 1;
}

static bool touches(struct range a, struct range b)
{
    return a.first <= b.first + b.length && b.first <= a.first + a.length;
}

static struct range unite(struct range a, struct range b)
{
    uint64_t first = a.first < b.first ? a.first : b.first;
    uint64_t end = a.first + a.length, other = b.first + b.length;
    return (struct range){first, (end > other ? end : other) - first};
}

/* Adds a range to those that are there; what it touches is one with it, at the place of the first.
 * Returns how many there are then. */
static size_t add_range(struct range *ranges, size_t count, struct range range)
{
    size_t place = count;
    for (size_t i = 0; i < count;) {
        if (!touches(ranges[i], range)) {
            i++;
            continue;
        }
        range = unite(ranges[i], range);
        count--;
        memmove(&ranges[i], &ranges[i + 1], (count - i) * sizeof range);
        place = i < place ? i : place;
        i = 0; /* it is larger now */
    }
    memmove(&ranges[place + 1], &ranges[place], (count - place) * sizeof range);
    ranges[place] = range;
    return count + 1;
}

/* The ranges that are asked for, within size. Returns how many; 0 when all of it is to be sent; -1
 * when nothing of them is there. */
static int read_ranges(const char *text, uint64_t size, struct range ranges[RANGES])
{
    struct range range;
    size_t named = 0, count = 0;
    if (!coir__http_alike_start(text, "bytes=", 6))
        return 0;
    for (text += 6; *(text += strspn(text, " \t,")) != '\0';) {
        int r = read_range(&text, size, &range);
        text += strspn(text, " \t");
        if (r < 0 || (*text != ',' && *text != '\0') || ++named > RANGES)
            return 0;
        if (r > 0)
            count = add_range(ranges, count, range);
    }
    return named > 0 && count == 0 ? -1 : (int)count;
}

/* ---- sending ---- */

/* Puts a part of a file that is not large behind its head, so that one write takes both, and
 * replies before it. Nothing of it is sent when that fails. */
static int put_part(coir_http_request *request, coir_file *file, struct range range)
{
    size_t n = 0, length = (size_t)range.length;
    coir_buffer *out = &request->out;
    COIR_TRY(coir_buffer_reserve(out, length));
    request->held = true;
    int r = coir_file_read(file, out->data + out->length, length, range.first, &n);
    request->held = false;
    if (r < 0)
        return r;
    if (n < length)
        return coir_fail(-EIO, "the file has become shorter");
    out->length += length;
    out->data[out->length] = '\0';
    return 0;
}

static int send_part(coir_http_request *request, coir_file *file, struct range range)
{
    if (range.length <= COPIED)
        return put_part(request, file, range);
    int r = coir__http_send_file(request, file, range.first, range.length);
    return r == -COIR_EEOF ? -COIR_EBROKENSTREAM : r; /* it has become shorter */
}

static int send_one(coir_http_request *request, const struct coir__http_content *content,
                    int status, struct range range)
{
    if (request->grouped) /* replies before it do not wait for the disk */
        COIR_TRY(coir__http_flush(request));
    size_t before = request->out.length;
    COIR_TRY(coir__http_put_head(request, status, content->type, range.length));
    request->state = COIR__HTTP_REPLIED;
    if (request->head_only || range.length == 0)
        return 0;
    request->sent = range.length;
    int r = send_part(request, content->file, range);
    if (r < 0 && range.length <= COPIED) { /* the failure can be told instead */
        request->sent = 0;
        request->out.length = before;
        request->state = COIR__HTTP_FRESH;
    }
    return r;
}

int coir__http_send_whole(coir_http_request *request, const struct coir__http_content *content)
{
    return send_one(request, content, 200, (struct range){0, content->size});
}

static int set_content_range(coir_http_request *request, const char *unit, uint64_t size)
{
    char text[80];
    (void)snprintf(text, sizeof text, "bytes %s/%llu", unit, (unsigned long long)size);
    return coir_http_reply_header(request, "Content-Range", text);
}

/* "2-4" */
static void name_range(struct range range, char ret_text[48])
{
    (void)snprintf(ret_text, 48, "%llu-%llu", (unsigned long long)range.first,
                   (unsigned long long)(range.first + range.length - 1));
}

/* ---- several: RFC 9110, section 14.6 ---- */

static int put_part_head(coir_buffer *out, const char *boundary, const char *type,
                         struct range range, uint64_t size)
{
    char text[48];
    name_range(range, text);
    COIR_TRY(coir__http_put(out, "\r\n--"));
    COIR_TRY(coir__http_put(out, boundary));
    COIR_TRY(coir__http_put(out, "\r\nContent-Type: "));
    COIR_TRY(coir__http_put(out, type));
    COIR_TRY(coir__http_put(out, "\r\nContent-Range: bytes "));
    COIR_TRY(coir__http_put(out, text));
    COIR_TRY(coir__http_put(out, "/"));
    COIR_TRY(coir__http_put_number(out, size));
    return coir__http_put(out, "\r\n\r\n");
}

/* Nobody can know it before, and put it into a file. */
static int make_boundary(char ret_boundary[BOUNDARY])
{
    unsigned long long number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return -EIO;
    (void)snprintf(ret_boundary, BOUNDARY, "%016llx", number);
    return 0;
}

/* What stands around several parts: the head of each, and the end behind the last. */
struct frame {
    coir_buffer text;
    size_t ends[RANGES + 1]; /* in it */
    uint64_t length;         /* of all, with the parts */
};

static int make_frame(struct frame *frame, const struct coir__http_content *content,
                      const char *type, const char *boundary, const struct range *ranges,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        COIR_TRY(put_part_head(&frame->text, boundary, type, ranges[i], content->size));
        frame->ends[i] = frame->text.length;
        frame->length += ranges[i].length;
    }
    COIR_TRY(coir__http_put(&frame->text, "\r\n--"));
    COIR_TRY(coir__http_put(&frame->text, boundary));
    COIR_TRY(coir__http_put(&frame->text, "--\r\n"));
    frame->ends[count] = frame->text.length;
    frame->length += frame->text.length;
    return 0;
}

/* Sends the parts behind the head of the reply, which is no whole one before their end. */
static int send_parts(coir_http_request *request, coir_file *file, const struct frame *frame,
                      const struct range *ranges, size_t count)
{
    for (size_t i = 0, at = 0; i <= count; at = frame->ends[i++]) {
        COIR_TRY(coir__http_put_bytes(&request->out, frame->text.data + at, frame->ends[i] - at));
        if (i < count)
            COIR_TRY(send_part(request, file, ranges[i]));
        if (request->out.length >= COPIED)
            COIR_TRY(coir__http_flush(request));
    }
    request->state = COIR__HTTP_REPLIED;
    return 0;
}

static int send_several(coir_http_request *request, const struct coir__http_content *content,
                        const struct range *ranges, size_t count)
{
    char boundary[BOUNDARY], type[48];
    struct frame frame = {0};
    const char *own = coir__http_reply_get(request, "Content-Type"); /* that of each part */
    COIR_TRY(make_boundary(boundary));
    (void)snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", boundary);
    COIR_TRY(coir_http_reply_header(request, "Content-Type", type));
    if (request->grouped)
        COIR_TRY(coir__http_flush(request));
    int r = make_frame(&frame, content, own != NULL ? own : content->type, boundary, ranges, count);
    if (r == 0)
        r = coir__http_put_head(request, 206, NULL, frame.length);
    if (r == 0) {
        request->sent = frame.length;
        r = send_parts(request, content->file, &frame, ranges, count);
    }
    coir_buffer_close(&frame.text);
    return r;
}

int coir__http_send_ranges(coir_http_request *request, const struct coir__http_content *content,
                           const char *asked)
{
    struct range ranges[RANGES];
    char text[48];
    int count = read_ranges(asked, content->size, ranges);
    if (count == 0)
        return coir__http_send_whole(request, content);
    if (count < 0) {
        COIR_TRY(set_content_range(request, "*", content->size));
        return coir__http_refuse(request, 416, NULL, false);
    }
    if (count > 1)
        return send_several(request, content, ranges, (size_t)count);
    name_range(ranges[0], text);
    COIR_TRY(set_content_range(request, text, content->size));
    return send_one(request, content, 206, ranges[0]);
}
