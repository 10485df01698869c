using System.Globalization;
using GptFunctions.Data;
using GptFunctions.Operations.Pages;
using GptFunctions.Purge;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>The purge: what each run removed and left, and a run by hand.</summary>
internal sealed class PurgePageFunctions(OperatorAccess access, PurgeRequests purge)
{
    public const string Start = "purge/start";
    public const string Stop = "purge/stop";

    [Function("OperationsPurge")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/purge")] HttpRequest request) =>
        access.ShowAsync(request, ShowAsync);

    [Function("OperationsPurgeStart")]
    public Task<IResult> StartAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/purge/start")] HttpRequest request) =>
        access.ActAsync(request, Start, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
        {
            var isDryRun = form["kind"] is not "run"; // what deletes nothing, unless the form says otherwise
            var days = form["days"] is not { Length: > 0 } text ? (int?)null
                : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 0;
            if (PurgeRequests.ProblemWithDays(days) is { } wrong)
            {
                return await visit.AskAgainAsync(form, "days", wrong, ShowAsync);
            }

            return await purge.StartAsync(isDryRun, days, act, visit.Occasion) is { } problem
                ? visit.Problem(StatusCodes.Status409Conflict, "No run was started", problem)
                : visit.Back(PurgePage.Path, $"The {(isDryRun ? "dry run" : "run")} is asked for: a process with timers begins within seconds.");
        });

    [Function("OperationsPurgeStop")]
    public Task<IResult> StopAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/purge/stop")] HttpRequest request) =>
        access.ActAsync(request, Stop, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
            await purge.StopAsync(form["job"] ?? "", InboxPageFunctions.RunOf(form["run"]), act, visit.Occasion) is { } problem
                ? visit.Problem(StatusCodes.Status409Conflict, "Nothing was stopped", problem)
                : visit.Back(PurgePage.Path, "The run is stopped, after the batch that it was at."));

    private async Task<IResult> ShowAsync(OperatorVisit visit)
    {
        var kind = visit.Filter("kind");
        if (kind is not (null or PurgePage.Run or PurgePage.DryRun))
        {
            return visit.Problem(StatusCodes.Status400BadRequest, "This filter means nothing", $"Kind is {PurgePage.Run} or {PurgePage.DryRun}.");
        }

        (DateTimeOffset, long)? before = ListPlace.Parse(visit.Filter("after")) is { } place ? (place.At, InboxPageFunctions.RunOf(place.Key)) : null;
        var runs = await purge.ListAsync(before, ListPage<RunLine>.Size + 1, kind is null ? null : kind == PurgePage.DryRun);
        return visit.Page<PurgePage>(new()
        {
            [nameof(PurgePage.List)] = ListPage<RunLine>.Of(
                [.. runs.Select(RunLine.Of)], run => new ListPlace(run.StartedAt, run.Id.ToString(CultureInfo.InvariantCulture)).ToString()),
            [nameof(PurgePage.RetentionDays)] = purge.RetentionDays,
        });
    }
}
