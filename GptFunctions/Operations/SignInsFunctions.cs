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
            var now = visit.Occasion.Now;
            if (TimeFilter.ProblemWith(visit.Filter, now) is { } problem)
            {
                return visit.Problem(StatusCodes.Status400BadRequest, "This filter means nothing", problem);
            }

            var step = Array.IndexOf(SignInLine.Steps, visit.Filter("step"));
            var filter = new SignInFilter(
                visit.Filter("app")?.Trim(), visit.Filter("user")?.Trim(), step < 0 ? null : (SignInReached)step,
                TimeFilter.Read(visit.Filter("since"), now), TimeFilter.Read(visit.Filter("until"), now),
                Guid.TryParse(visit.Filter("after"), out var after) ? after : null);
            var rows = await statistics.ReadSignInsAsync(filter, ListPage<SignInLine>.Size + 1);
            return visit.Page<SignInsPage>(new()
            {
                [nameof(SignInsPage.List)] = ListPage<SignInLine>.Of([.. rows.Select(SignInLine.Of)], row => row.Id.ToString()),
            });
        });
}
