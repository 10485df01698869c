using System.Globalization;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using GptFunctions.Webhooks;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>The inbox of webhooks: what came, what failed, and all that failed again.</summary>
internal sealed class InboxPageFunctions(OperatorAccess access, InboxService inbox)
{
    public const string Replay = "webhooks/replay";
    public const string ReplayAll = "webhooks/replay-all";
    public const string Stop = "webhooks/stop";
    private const int ShownRuns = 5;
    private const int MostCounted = 10_000;

    [Function("OperationsWebhooks")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/webhooks")] HttpRequest request) =>
        access.ShowAsync(request, ShowAsync);

    [Function("OperationsWebhooksReplay")]
    public Task<IResult> ReplayAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/webhooks/replay")] HttpRequest request) =>
        access.ActAsync(request, Replay, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
        {
            var (outcome, problem) = await inbox.ReplayAsync(form["of"] ?? "", form["event"] ?? "", act, visit.Occasion);
            return problem is null
                ? visit.Back(Return(form["back"]), $"The event was handled again: {outcome}.")
                : visit.Problem(StatusCodes.Status409Conflict, "The event was not completed", problem);
        });

    [Function("OperationsWebhooksReplayAll")]
    public Task<IResult> ReplayAllAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/webhooks/replay-all")] HttpRequest request) =>
        access.ActAsync(request, ReplayAll, isReasonRequired: true, ShowAsync, async (visit, act, form) =>
        {
            var (_, problem) = await inbox.StartReplayAsync(Read(name => form[name]), act, visit.Occasion);
            return problem is null
                ? visit.Back(WebhooksPage.Path, "The replay is asked for: a process with timers begins within seconds.")
                : visit.Problem(StatusCodes.Status409Conflict, "No replay was started", problem);
        });

    [Function("OperationsWebhooksStop")]
    public Task<IResult> StopAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/webhooks/stop")] HttpRequest request) =>
        access.ActAsync(request, Stop, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
            await inbox.StopReplayAsync(RunOf(form["run"]), act, visit.Occasion) is { } problem
                ? visit.Problem(StatusCodes.Status409Conflict, "Nothing was stopped", problem)
                : visit.Back(WebhooksPage.Path, "The replay is stopped. Asked for in the same words, it goes on where it stood."));

    private async Task<IResult> ShowAsync(OperatorVisit visit)
    {
        var asked = Read(visit.Filter);
        if ((TimeFilter.ProblemWith(visit.Filter, visit.Occasion.Now) ?? inbox.ProblemWith(asked)) is { } problem)
        {
            return visit.Problem(StatusCodes.Status400BadRequest, "This filter means nothing", problem);
        }

        var isReplayAll = visit.Filter("confirm") is "replay-all";
        var now = visit.Occasion.Now;
        var filter = asked.ToFilter(now) with { Status = visit.Filter("status"), Until = TimeText.Parse(asked.Until, now) };
        var rows = await inbox.ListAsync(filter, PositionOf(visit.Filter("after")), ListPage<WebhookLine>.Size + 1);
        return visit.Page<WebhooksPage>(new()
        {
            [nameof(WebhooksPage.List)] = ListPage<WebhookLine>.Of(
                [.. rows.Select(WebhookLine.Of)], row => new ListPlace(row.ProcessedAt, $"{row.Source}/{row.EventId}").ToString()),
            [nameof(WebhooksPage.Runs)] = (await inbox.ListReplaysAsync(ShownRuns)).ConvertAll(RunLine.Of),
            [nameof(WebhooksPage.Matching)] = isReplayAll ? await inbox.CountAsync(asked, MostCounted) : 0,
            [nameof(WebhooksPage.Sources)] = inbox.Sources,
        });
    }

    internal static long RunOf(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var run) ? run : 0;

    private static ReplayAsked Read(Func<string, string?> value) => new()
    {
        Source = value("source"),
        Type = value("type"),
        Subject = value("subject"),
        Since = value("since"),
        Until = value("until"),
    };

    private static WebhookPosition? PositionOf(string? text) => ListPlace.Parse(text) is { } place && place.Key.Split('/', 2) is [var source, var id]
        ? new WebhookPosition(place.At, source, id)
        : null;

    /// <summary>The list as it was, and nothing else.</summary>
    private static string Return(string? back) =>
        back is not null && (back == WebhooksPage.Path || back.StartsWith(WebhooksPage.Path + "?", StringComparison.Ordinal))
        ? back
        : WebhooksPage.Path;
}
