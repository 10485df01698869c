using System.Globalization;
using GptFunctions.Audit;
using GptFunctions.Operations.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>Audit messages that did not get into the trail.</summary>
internal sealed class MessagesFunctions(OperatorAccess access, MessageService messages)
{
    public const string Return = "messages/return";
    public const string Discard = "messages/discard";

    [Function("OperationsMessages")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/messages")] HttpRequest request) =>
        access.ShowAsync(request, ShowAsync);

    [Function("OperationsMessagesReturn")]
    public Task<IResult> ReturnAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/messages/return")] HttpRequest request) =>
        access.ActAsync(request, Return, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
        {
            var (done, problem) = await messages.ReturnAsync(form["message"] ?? "", act, visit.Occasion);
            return problem is null ? visit.Back(MessagesPage.Path, done!) : visit.Problem(StatusCodes.Status409Conflict, "Nothing was put back", problem);
        });

    [Function("OperationsMessagesDiscard")]
    public Task<IResult> DiscardAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/messages/discard")] HttpRequest request) =>
        access.ActAsync(request, Discard, isReasonRequired: true, ShowAsync, async (visit, act, form) =>
            await messages.DiscardAsync(form["message"] ?? "", act, visit.Occasion) is { } problem
                ? visit.Problem(StatusCodes.Status409Conflict, "Nothing was thrown away", problem)
                : visit.Back(MessagesPage.Path, "The message is thrown away; the audit trail keeps its digest."));

    private async Task<IResult> ShowAsync(OperatorVisit visit)
    {
        var where = visit.Filter("where");
        if (where is not null && !MessagesPage.Places.Contains(where, StringComparer.Ordinal))
        {
            return visit.Problem(
                StatusCodes.Status400BadRequest, "This filter means nothing", $"Where is one of {string.Join(", ", MessagesPage.Places)}.");
        }

        long? before = long.TryParse(visit.Filter("after"), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
        var quarantine = Shows(where, MessagesPage.Quarantined) ? await messages.ListQuarantineAsync(before, ListPage<StrayMessage>.Size + 1) : [];
        var dead = Shows(where, MessagesPage.DeadLetters) ? await messages.ListDeadAsync(ListPage<StrayMessage>.Size) : new DeadLetterList(0, [], null);
        var stranded = Shows(where, MessagesPage.StrandedEvents) ? await messages.ListStrandedAsync(CancellationToken.None) : [];
        return visit.Page<MessagesPage>(new()
        {
            [nameof(MessagesPage.Quarantine)] = ListPage<StrayMessage>.Of([.. quarantine.Select(StrayMessage.Of)], message => message.Id.Split('/')[1]),
            [nameof(MessagesPage.Dead)] = dead.First.Select(StrayMessage.Of).ToList(),
            [nameof(MessagesPage.DeadCount)] = dead.Count,
            [nameof(MessagesPage.DeadProblem)] = dead.Problem,
            [nameof(MessagesPage.Stranded)] =
                stranded.Select(kind => new StrandedLine(kind.RoutingKey, kind.Count, kind.Oldest, kind.SetAsideAt)).ToList(),
        });
    }

    private static bool Shows(string? where, string place) => where is null || where == place;
}
