using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using GptFunctions.Statistics;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>Why somebody cannot connect: the newest authorization requests, and where each of them stopped.</summary>
internal sealed class SignInsFunctions(OperatorAccess access, StatisticsService statistics)
{
    [Function("OperationsSignIns")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/sign-ins")] HttpRequest request) =>
        access.ShowAsync(request, async visit =>
        {
            var (since, until) = (visit.Filter("since"), visit.Filter("until"));
            var (from, to) = (Time(since, visit.Occasion.Now), Time(until, visit.Occasion.Now));
            if ((since is null) != (from is null) || (until is null) != (to is null))
            {
                return visit.Problem(
                    StatusCodes.Status400BadRequest, "This is no time",
                    "From and Until are a time such as 2026-01-31 12:00 (UTC), or how long ago: 30m, 24h, 7d.");
            }

            var step = Array.IndexOf(SignInLine.Steps, visit.Filter("step"));
            var filter = new SignInFilter(
                visit.Filter("app")?.Trim(), visit.Filter("user")?.Trim(), step < 0 ? null : (SignInReached)step, from, to,
                Guid.TryParse(visit.Filter("after"), out var after) ? after : null);
            var rows = await statistics.ReadSignInsAsync(filter, ListPage<SignInLine>.Size + 1);
            return visit.Page<SignInsPage>(new()
            {
                [nameof(SignInsPage.List)] = ListPage<SignInLine>.Of([.. rows.Select(SignInLine.Of)], row => row.Id.ToString()),
            });
        });

    private static DateTimeOffset? Time(string? text, DateTimeOffset now) => text is null ? null : TimeText.Parse(text, now);
}
