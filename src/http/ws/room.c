/* room.c: which sockets are in which rooms.
 *
 * A member is in two lists: that of its room, in the order in which they have come, and that of its
 * socket. What is sent to a room is in send.c. Called by programs, socket.c.
 */
#include "ws.h"

#include <errno.h>

#include <coir/memory.h>

static struct coir__ws_member **find_member(coir_ws *ws, const coir_ws_room *room)
{
    struct coir__ws_member **at = &ws->rooms;
    while (*at != NULL && (*at)->room != room)
        at = &(*at)->other;
    return at;
}

int coir_ws_join(coir_ws *ws, coir_ws_room *room)
{
    if (ws == NULL || room == NULL)
        return -EINVAL;
    if (*find_member(ws, room) != NULL)
        return 0;
    struct coir__ws_member *member = coir_alloc(sizeof *member);
    if (member == NULL)
        return -ENOMEM;
    *member = (struct coir__ws_member){NULL, room->coir__last, ws->rooms, room, ws};
    ws->rooms = member;
    *(room->coir__last != NULL ? &room->coir__last->next : &room->coir__first) = member;
    room->coir__last = member;
    room->coir__count++;
    return 0;
}

static void remove_member(struct coir__ws_member **at)
{
    struct coir__ws_member *member = *at;
    coir_ws_room *room = member->room;
    *at = member->other;
    *(member->previous != NULL ? &member->previous->next : &room->coir__first) = member->next;
    *(member->next != NULL ? &member->next->previous : &room->coir__last) = member->previous;
    room->coir__count--;
    coir_free(member);
}

void coir_ws_leave(coir_ws *ws, coir_ws_room *room)
{
    if (ws == NULL || room == NULL)
        return;
    struct coir__ws_member **at = find_member(ws, room);
    if (*at != NULL)
        remove_member(at);
}

void coir__ws_leave_all(coir_ws *ws)
{
    while (ws->rooms != NULL)
        remove_member(&ws->rooms);
}

size_t coir_ws_room_count(const coir_ws_room *room)
{
    return room->coir__count;
}

void coir_ws_room_close(coir_ws_room *room)
{
    while (room->coir__first != NULL)
        coir_ws_leave(room->coir__first->ws, room);
}
