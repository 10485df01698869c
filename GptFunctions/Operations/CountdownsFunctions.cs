using GptFunctions.Audit;
using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using GptFunctions.Verification;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>What happens later, and what was given up: countdowns, and the callbacks that come of them.</summary>
internal sealed class CountdownsFunctions(OperatorAccess access, CountdownService countdowns, CallbackService callbacks)
{
    public const string Replay = "countdowns/replay";
    public const string Cancel = "countdowns/cancel";
    public const string ReplayCallback = "countdowns/replay-callback";
    public const string CancelCallback = "countdowns/cancel-callback";

    [Function("OperationsCountdowns")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/countdowns")] HttpRequest request) =>
        access.ShowAsync(request, ShowAsync);

    [Function("OperationsCountdownsReplay")]
    public Task<IResult> ReplayAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/countdowns/replay")] HttpRequest request) =>
        ChangeAsync(request, Replay, false, countdowns.ReplayAsync, "The countdown is active again: it is worked off within seconds of when it is due.");

    [Function("OperationsCountdownsCancel")]
    public Task<IResult> CancelAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/countdowns/cancel")] HttpRequest request) =>
        ChangeAsync(request, Cancel, true, countdowns.CancelAsync, "The countdown is cancelled: what it was for does not happen.");

    [Function("OperationsCountdownsReplayCallback")]
    public Task<IResult> ReplayCallbackAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/countdowns/replay-callback")] HttpRequest request) =>
        ChangeAsync(request, ReplayCallback, false, callbacks.ReplayAsync, "The callback is sent within seconds, and tried for up to 72 hours.");

    [Function("OperationsCountdownsCancelCallback")]
    public Task<IResult> CancelCallbackAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/countdowns/cancel-callback")] HttpRequest request) =>
        ChangeAsync(request, CancelCallback, true, callbacks.CancelAsync, "The callback is cancelled: nobody is told.");

    private Task<IResult> ChangeAsync(
        HttpRequest request, string action, bool isReasonRequired, Func<Guid, OperatorAct, Occasion, Task<string?>> change, string done) =>
        access.ActAsync(request, action, isReasonRequired, ShowAsync, async (visit, act, form) => !Guid.TryParse(form["id"], out var id)
            ? visit.Problem(StatusCodes.Status400BadRequest, "Nothing was changed", "The form names no id.")
            : await change(id, act, visit.Occasion) is { } problem
                ? visit.Problem(StatusCodes.Status409Conflict, "Nothing was changed", problem)
                : visit.Back(CountdownsPage.Path, done));

    private async Task<IResult> ShowAsync(OperatorVisit visit)
    {
        var (status, subject, callbackStatus) = (visit.Filter("status"), visit.Filter("subject"), visit.Filter("callbacks") ?? "dead");
        var problem = status is not null && !CountdownService.Statuses.Contains(status, StringComparer.Ordinal)
            ? $"Status is one of {string.Join(", ", CountdownService.Statuses)}."
            : !CallbackListStore.Statuses.Contains(callbackStatus, StringComparer.Ordinal)
            ? $"Callbacks is one of {string.Join(", ", CallbackListStore.Statuses)}."
            : null;
        if (problem is not null)
        {
            return visit.Problem(StatusCodes.Status400BadRequest, "This filter means nothing", problem);
        }

        // Of a subject there are few; all there are is no list.
        var filter = new CountdownFilter(status ?? (subject is null ? "active" : null), visit.Filter("kind"), subject);
        var rows = await countdowns.ListAsync(filter, PositionOf(visit.Filter("after")), ListPage<CountdownRow>.Size + 1);
        var calls = await callbacks.ListAsync(callbackStatus, CallOf(visit.Filter("after_callback")), ListPage<CountdownRow>.Size + 1);
        var state = await countdowns.ReadStateAsync();
        return visit.Page<CountdownsPage>(new()
        {
            [nameof(CountdownsPage.List)] = ListPage<CountdownRow>.Of(rows, PlaceOf),
            [nameof(CountdownsPage.Callbacks)] = ListPage<CountdownRow>.Of(calls.ConvertAll(AsCountdown), PlaceOf),
            [nameof(CountdownsPage.Late)] = state.Late,
            [nameof(CountdownsPage.Dead)] = state.Dead,
            [nameof(CountdownsPage.Shown)] = filter.Status ?? "any",
            [nameof(CountdownsPage.CallbacksShown)] = callbackStatus,
        });
    }

    /// <summary>A callback has the life of a countdown that is due at once.</summary>
    private static CountdownRow AsCountdown(CallbackRow row) => new()
    {
        Id = row.Id,
        Kind = row.Type,
        Subject = row.OrderId,
        Status = row.Status,
        DueAt = row.CreatedAt,
        Attempts = row.Attempts,
        NextAttemptAt = row.NextAttemptAt,
        FinishedAt = row.FinishedAt,
        LastError = row.LastError,
    };

    private static string PlaceOf(CountdownRow row) => new ListPlace(row.FinishedAt ?? row.NextAttemptAt, row.Id.ToString()).ToString();

    private static CountdownPosition? PositionOf(string? text) =>
        ListPlace.Parse(text) is { } place && Guid.TryParse(place.Key, out var id) ? new CountdownPosition(place.At, id) : null;

    private static (DateTimeOffset, Guid)? CallOf(string? text) => PositionOf(text) is { } position ? (position.Time, position.Id) : null;
}
