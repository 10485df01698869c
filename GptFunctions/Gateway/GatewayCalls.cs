using System.Runtime.CompilerServices;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Gateway;

/// <summary>A call from its admission to its end: forwarded, its end recorded and counted, whoever asks for it in whichever way.</summary>
internal sealed class GatewayCalls(GatewayService service, Forwarder forwarder, GatewayMetrics metrics, OpenCalls open, TimeProvider clock)
{
    /// <param name="context">What the upstream gets is read from its request; the upstream's answer goes into its response.</param>
    /// <returns>Why there is no answer of the upstream; null when it is in the response.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))] // nobody keeps the task, so its memory serves the next call
    public async ValueTask<GatewayRefusal?> MakeAsync(HttpContext context, GatewayRequest request)
    {
        var started = clock.GetTimestamp();
        using var place = new OpenCall(open);
        Admission? admission = null;
        Forwarded? forwarded = null; // as long as an exception may end the call
        try
        {
            var verdict = await service.AdmitAsync(request, place);
            if (verdict.Quota is { } quota)
            {
                GatewayAnswers.Tell(context.Response, quota);
            }

            if (verdict.Admission is null)
            {
                forwarded = verdict.Refusal!;
                return verdict.Refusal;
            }

            admission = verdict.Admission;
            RequestNotes.Of(context).Action = admission.Route.Name;
            metrics.Left(admission.Route.Name, clock.GetElapsedTime(started));
            forwarded = await forwarder.ForwardAsync(context, admission);
            RequestNotes.Of(context).Outcome = forwarded.Value.Outcome;
            return forwarded.Value.Refusal?.Of(admission.Caller);
        }
        finally
        {
            var took = clock.GetElapsedTime(started);
            if (admission is not null)
            {
                service.Ended(admission, forwarded?.Status ?? StatusCodes.Status500InternalServerError, took);
            }

            metrics.Answered(admission?.Route.Name, forwarded, took);
        }
    }
}
